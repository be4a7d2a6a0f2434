// Run .tflite networks with LiteRT's WebAssembly build, which the page carries; the only module that knows its API.

// A module with one relaxed SIMD instruction; a browser without them refuses it.
const RELAXED_SIMD = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0],
  ...[65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11],
];
const ONE_THREAD = { accelerator: "wasm", cpuOptions: { numThreads: 1 }, gpuOptions: {}, webNNOptions: {} };

/** Return whether this browser runs the faster build. */
export function hasRelaxedSimd() {
  return WebAssembly.validate(Uint8Array.from(RELAXED_SIMD));
}

/** LiteRT, started: opens networks. */
export class Runtime {
  constructor(wasm) {
    this.wasm = wasm;
    this.environment = wasm.LiteRtEnvironment.create(null);
  }

  /** Start LiteRT. factory: the function that its script defines; binary: its WebAssembly file. */
  static async start(factory, binary) {
    // LiteRT logs every network it opens.
    return new Runtime(await factory({ wasmBinary: binary, print: () => {}, printErr: () => {} }));
  }

  /** Open a .tflite file with one signature. */
  async open(file) {
    const { wasm, environment } = this;
    const pointer = wasm._malloc(file.byteLength);
    wasm.HEAPU8.set(file, pointer);
    const model = wasm.loadModel(environment.liteRtEnvironment ?? environment, pointer, file.byteLength);
    const compiled = await wasm.compileModel(environment, model, { ...ONE_THREAD, environment });
    return new Network(this, model, compiled);
  }
}

class Network {
  constructor(runtime, model, compiled) {
    this.runtime = runtime;
    this.model = model;
    this.compiled = compiled;
    const signature = model.getSignature(0);
    this.inputs = listed(signature.inputNames());
    this.outputs = listed(signature.outputNames());
    signature.delete();
    const image = Math.max(this.inputs.indexOf("masked_image"), 0);
    const type = model.getInputTensorType(0, image);
    const layout = type.layout();
    // Side of the square input image.
    this.side = listed(layout.dimensions())[1];
    layout.delete();
    type.delete();
  }

  /** Run it. inputs: Float32Arrays by name, or in order. Returns new Float32Arrays by name, in order. */
  async run(inputs) {
    const buffers = this.inputs.map((name, i) => this.buffer(i, inputs[name] ?? inputs[i]));
    try {
      const results = await this.compiled.run(0, buffers);
      return Object.fromEntries(results.map((result, i) => [this.outputs[i], this.values(result)]));
    } finally {
      for (const buffer of buffers) buffer.delete();
    }
  }

  buffer(index, values) {
    const { wasm, environment } = this.runtime;
    const type = this.model.getInputTensorType(0, index);
    const memory = wasm.LiteRtTensorBufferType.HOST_MEMORY;
    const buffer = wasm.LiteRtTensorBuffer.createManaged(environment, memory, type, values.byteLength);
    type.delete();
    const pointer = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
    wasm.HEAPU8.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), pointer);
    buffer.unlock();
    return buffer;
  }

  values(buffer) {
    const { wasm } = this.runtime;
    const pointer = buffer.lock(wasm.LiteRtTensorBufferLockMode.READ);
    const bytes = wasm.HEAPU8.slice(pointer, pointer + buffer.packedSize());
    buffer.unlock();
    buffer.delete();
    return new Float32Array(bytes.buffer);
  }
}

function listed(vector) {
  const items = Array.from({ length: vector.size() }, (_, i) => vector.get(i));
  vector.delete();
  return items;
}
