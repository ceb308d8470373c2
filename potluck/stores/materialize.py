"""Fill the online store from the data: every view except the predictions, whatever the registry believes was done."""

import contextlib
import io
import warnings
from datetime import datetime

from feast import FeatureStore

from potluck.contract.errors import DataError, MissingStepError
from potluck.stores.definitions import read_definitions
from potluck.stores.offline import EPOCH


def materialize(store: FeatureStore, as_of: datetime) -> list[str]:
    """Write the latest record of every entity dated up to `as_of`, and answer the views' names.

    Raises:
        MissingStepError: nothing was applied, or a source's file is not there.
        DataError: Feast can't read a source or write the store.
    """
    published = {p.view for d in read_definitions(store).values() for p in d.contract.publications}
    views = [view.name for view in store.list_feature_views() if view.online and view.name not in published]
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            if views:
                store.materialize(EPOCH, as_of, feature_views=views)
    except FileNotFoundError as error:
        raise MissingStepError(f"a source's file is not there ({error}); run `potluck ingest` first") from None
    except Exception as error:
        raise DataError(f"Feast could not materialize {', '.join(views)}: {type(error).__name__}: {error}") from error
    return views
