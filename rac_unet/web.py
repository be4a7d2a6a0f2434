"""Write the page that unmasks faces inside the browser: `python -m rac_unet.web --output page/`."""

from __future__ import annotations

from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, number, run_command


def main(argv: list[str] | None = None) -> int:
    """Write the page as a folder or a file, or serve it to a browser on this machine."""
    args = _parser().parse_args(argv)
    if not (args.output or args.single or args.open):
        raise UserError("nothing to do: give --output FOLDER, --single FILE or --open", "usage")
    if not args.open and (args.host is not None or args.port is not None):
        raise UserError("--host and --port are for --open, which is missing", "usage")
    # Importing OpenCV takes a moment; wrong options are reported before.
    from rac_unet.core.files.whole import write_file
    from rac_unet.core.rundir import check_output
    from rac_unet.page.packing import is_own_page, page_files, single_page, write_folder
    from rac_unet.runtime.published import PUBLISHED_NETWORK
    from rac_unet.unmasking.networks import load_mask_aware, published_reader

    model = args.model or PUBLISHED_NETWORK
    if Path(model).suffix != ".tflite" and Path(model).exists():
        raise UserError(
            f"{model} is not a .tflite file, which the page needs; write one with rac_unet.export --format litert_int8",
            "unsupported",
        )
    if args.output:
        check_output(args.output)
    if args.single and args.single.exists() and not is_own_page(args.single):
        raise UserError(f"{args.single} exists already and is not a page of rac_unet; give another name", "exists")
    load_mask_aware(model)
    reader = published_reader(model)
    if args.output:
        files = page_files(model, reader)
        write_folder(args.output, files)
        size = sum(map(len, files.values())) / 1e6
        print(f"wrote    {args.output}: {len(files)} files, {size:.1f} MB; for a web server")
    if args.single:
        content = single_page(model, reader)
        write_file(args.single, content)
        print(f"wrote    {args.single}: {len(content) / 1e6:.1f} MB; open it in a browser, no network is needed")
    if args.open:
        _serve(page_files(model, reader), args.host or "127.0.0.1", args.port or 0)
    return 0


def _serve(files: dict[str, bytes], host: str, port: int) -> None:
    import webbrowser

    from rac_unet.page.serving import LOOPBACK, make_server

    server = make_server(files, host, port)
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{server.server_address[1]}/"
    if host not in LOOPBACK:
        print(f"warning  anyone who reaches {host} can open the page. Photos still stay in each browser, but browsers")
        print("         give the camera only to pages of https or of their own machine")
    print(f"serving  {address} until Ctrl-C", flush=True)
    webbrowser.open(address)
    with server:
        server.serve_forever()


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.web",
        description="Write a page that unmasks faces inside the browser, in photos and in the camera's picture. It "
        "needs no server program, and its content-security policy lets no picture leave the device.",
        epilog="example: python -m rac_unet.web --output page",
    )
    parser.add_argument("--output", type=Path, metavar="D", help="folder for the page, which any web server can serve")
    parser.add_argument(
        "--single",
        type=Path,
        metavar="FILE",
        help="write the page as one HTML file, which a browser opens from the disk",
    )
    parser.add_argument(
        "--open", action="store_true", help="serve the page on this machine, and open it in the browser"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="a .tflite file of a mask-aware network, as rac_unet.export writes it (default: the published network)",
    )
    parser.add_argument("--host", metavar="NAME", help="address to serve on (default: 127.0.0.1, only this machine)")
    parser.add_argument("--port", type=number(int, 0, 65535), help="port to serve on (default: any free one)")
    return parser


if __name__ == "__main__":
    run_command(main)
