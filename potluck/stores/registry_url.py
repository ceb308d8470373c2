"""Named in the package's metadata: the SQLAlchemy plug-in that finds Feast's registry."""

from potluck.stores.definitions.registry_url import RegistryUrlPlugin

__all__ = ["RegistryUrlPlugin"]
