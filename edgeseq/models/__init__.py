"""Model families: one readable file each, from its sizes to its graph; `edgeseq.families` lists."""

from importlib import import_module

from edgeseq.errors import UsageError
from edgeseq.families import FAMILIES
from edgeseq.models.family import Body, Family, Spec
from edgeseq.models.sequence import SequenceModel

__all__ = ["Body", "Family", "SequenceModel", "Spec", "load_family"]


def load_family(name: str) -> Family:
    """Return the family called `name`; raise `UsageError` where there is none."""
    if name not in FAMILIES:
        raise UsageError(f'no model family "{name}"; choose one of {", ".join(FAMILIES)}')
    family: Family = import_module(f"edgeseq.models.{name.replace('-', '_')}").FAMILY
    return family
