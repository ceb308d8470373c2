"""`python -m monitoring.decode`, which `potluck serve` starts beside its workers."""

from monitoring.decode.follow import main

if __name__ == "__main__":
    main()
