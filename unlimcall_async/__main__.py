"""`python -m unlimcall_async` is `unlimcall`."""

from unlimcall_async.cli import main

if __name__ == "__main__":
    main()
