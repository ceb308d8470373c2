"""LightGBM's text model, read: trees as arrays of nodes.

The text's own layout: node 0 is the root, a child below 0 is the leaf `~child`. `decision_type`
holds bit flags: 1 for a categorical split, 2 for "missing goes left", and in bits 2 and 3 what
counts as missing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from potluck.contract.errors import BundleError

AVERAGED = (
    "model.txt averages its trees (LightGBM's boosting=rf); expected trees that add up, as its raw "
    "scores are sums: the predictions would be too large by the number of trees; train again "
    "without boosting=rf"
)
CATEGORICAL, MISSING_GOES_LEFT = 1, 2
NO_MISSING, ZERO_IS_MISSING, NAN_IS_MISSING = 0, 1, 2
WORD = 32

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Tree:
    """One tree: an entry for each inner node, and for each leaf."""

    features: list[int]
    thresholds: list[float]
    decisions: list[int]
    left: list[int]
    right: list[int]
    leaves: list[float]
    category_bounds: list[int]
    category_words: list[int]

    def goes_left_if_missing(self, node: int) -> bool:
        return bool(self.decisions[node] & MISSING_GOES_LEFT)

    def is_categorical(self, node: int) -> bool:
        return bool(self.decisions[node] & CATEGORICAL)

    def missing_kind(self, node: int) -> int:
        return self.decisions[node] >> 2 & 3

    def categories(self, node: int) -> list[int]:
        """The codes that a categorical node sends to the left."""
        first, end = self.category_bounds[int(self.thresholds[node]) :][:2]
        words = enumerate(self.category_words[first:end])
        return [place * WORD + bit for place, word in words for bit in set_bits(word)]

    def leaf_count(self, child: int) -> int:
        """Leaves below a child."""
        return 1 if child < 0 else self.leaf_counts[child]

    @cached_property
    def leaf_counts(self) -> list[int]:
        """Leaves below each inner node; a child always stands behind its parent."""
        counts = [0] * len(self.features)
        for node in reversed(range(len(counts))):
            counts[node] = sum(
                1 if child < 0 else counts[child] for child in (self.left[node], self.right[node])
            )
        return counts

    @cached_property
    def places(self) -> dict[int, int]:
        """Each child, inner node or leaf -> how many leaves lie to the left of it."""
        places = {0: 0} if self.features else {-1: 0}
        for node, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            places[left] = places[node]
            places[right] = places[node] + self.leaf_count(left)
        return places


@dataclass(frozen=True)
class TextModel:
    """The trees of a model; tree `i` adds to the output `i % outputs`."""

    trees: list[Tree]
    outputs: int
    width: int
    """Columns of its matrix."""
    linear: bool
    """Whether a leaf holds a linear model."""


def set_bits(word: int) -> Iterator[int]:
    while word:
        yield (word & -word).bit_length() - 1
        word &= word - 1


def read_model(text: bytes) -> TextModel:
    """Parse a text model whose digest holds.

    Raises:
        BundleError: it is no LightGBM model, one of a form that this reader does not know, or one
            of averaged trees.
    """
    try:
        header, *blocks = sections(text.decode())
        if "average_output" in header:
            raise BundleError(AVERAGED)
        trees = [tree_of(block) for block in blocks]
        return TextModel(
            trees=trees,
            outputs=int(header["num_tree_per_iteration"]),
            width=int(header["max_feature_idx"]) + 1,
            linear=any(block.get("is_linear", "0") != "0" for block in blocks),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise BundleError(
            f"model.txt is not LightGBM's text as it is known here ({error!r}); train again"
        ) from None


def sections(text: str) -> Iterator[dict[str, str]]:
    """The header's entries, then each tree's."""
    trees, end, _ = text.partition("end of trees")
    if not end:
        raise ValueError("its end is missing")
    for part in trees.split("\nTree="):
        yield dict(name_and_value(line) for line in part.splitlines())


def name_and_value(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value


def tree_of(block: Mapping[str, str]) -> Tree:
    def numbers(name: str, kind: Callable[[str], Number]) -> list[Number]:
        return list(map(kind, block.get(name, "").split()))

    tree = Tree(
        features=numbers("split_feature", int),
        thresholds=numbers("threshold", float),
        decisions=numbers("decision_type", int),
        left=numbers("left_child", int),
        right=numbers("right_child", int),
        leaves=numbers("leaf_value", float),
        category_bounds=numbers("cat_boundaries", int),
        category_words=numbers("cat_threshold", int),
    )
    check_shape(tree)
    return tree


def check_shape(tree: Tree) -> None:
    """Every inner node and every leaf but the root is the child of one node before it.

    Raises:
        ValueError: it is not so.
    """
    nodes = len(tree.features)
    if {
        len(tree.thresholds),
        len(tree.decisions),
        len(tree.left),
        len(tree.right),
        len(tree.leaves) - 1,
    } != {nodes}:
        raise ValueError("a tree's arrays differ in length")
    children = [
        (child, node) for side in (tree.left, tree.right) for node, child in enumerate(side)
    ]
    if (
        sorted(child for child, _ in children) != [*range(-nodes - 1, 0), *range(1, nodes)]
        and nodes
    ):
        raise ValueError("a tree's nodes do not hang together")
    if any(0 <= child <= node for child, node in children):
        raise ValueError("a tree's node stands before its parent")
