"""Feast's side: what a repo defines, what fills it, and the classes that `feature_store.yaml`
names.

The rooms, from the bottom up:

    definitions      what a repo defines
    parquet          what its sources hold
    ingest           how its sources come to be
    feast_plugins    Feast's online store, offline store and batch engine
    apply            the verb `apply`
    materialize      the verb `materialize`

The modules beside the rooms are names that feature repos hold, in `feature_store.yaml`,
`definitions.py` and `ingest.py`. They stay where they are. Each exports what its room defines.
"""
