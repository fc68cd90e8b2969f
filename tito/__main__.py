"""`python -m tito` is `tito`. All imports are inside of `main`: Ctrl-C is understood from the start."""


def main() -> int:
    try:
        from tito import cli

        return cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    import sys

    sys.exit(main())
