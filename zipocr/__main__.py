"""Where the command ``zipocr`` and ``python -m zipocr`` begin.

Processes that are started afresh import what began the program. This is next to nothing; they have no use for click.
"""


def main() -> None:
    """Run the command line."""
    from zipocr.cli import main as command

    command()


if __name__ == "__main__":
    main()
