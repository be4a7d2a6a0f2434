// An error that the page explains in one sentence.

/** key: name of a text in strings.js. */
export class Refusal extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}
