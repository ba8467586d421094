from gens.version import make_version
from image.version_labels import version_labels

_STATUS = "STABLE_MONOBASE_REVISION 3f90b29c\nSTABLE_MONOBASE_TREE dirty\n"


def test_the_image_of_an_unstamped_build_says_so_and_names_no_commit() -> None:
    assert version_labels(make_version("1.2.0", None)) == {
        "org.opencontainers.image.version": "1.2.0+unstamped"
    }


def test_the_image_of_a_stamped_build_names_its_commit_and_that_the_tree_had_changes() -> None:
    assert version_labels(make_version("1.2.0", _STATUS)) == {
        "org.opencontainers.image.version": "1.2.0+dirty",
        "org.opencontainers.image.revision": "3f90b29c",
    }
