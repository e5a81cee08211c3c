"""`python -m operations` is `fraud`, also where the console script is not on the PATH."""

from operations.cli import app

if __name__ == "__main__":
    app()
