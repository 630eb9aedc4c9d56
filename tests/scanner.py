"""zipocr with a stand-in for its reader that is quick, and does what a page's gray demands: for tests that need a process of its own."""

if __name__ == "__main__":
    import fakes

    import zipocr.batch
    from zipocr.cli import main

    zipocr.batch.start_reading = fakes.start_moody
    main(prog_name="zipocr")
