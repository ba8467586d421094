from image.sbom.copyright_file import parse_copyright
from image.sbom.licence import Licence

FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


def test_a_machine_readable_file_gives_the_licences_of_all_files_each_once() -> None:
    text = f"""{FORMAT}
Files: *
Copyright: a
License: GPL-2+

Files: doc/*
Copyright: b
License: public-domain
 Nobody's.

Files: lib/*
Copyright: c
License: GPL-2+

License: GPL-2+
 The text.
"""
    assert parse_copyright("sample", text.encode()) == (
        Licence("GPL-2.0-or-later", is_spdx=True),
        Licence("public-domain", is_spdx=False),
    )


def test_the_licence_of_the_whole_stands_in_the_header() -> None:
    text = f"{FORMAT}License: Expat\n\nFiles: *\nCopyright: a\nLicense: ISC\n"
    assert [licence.text for licence in parse_copyright("sample", text.encode())] == ["ISC", "MIT"]


def test_any_other_file_gives_the_texts_that_it_refers_to_and_itself() -> None:
    text = "In /usr/share/common-licenses/GPL-2. Also `/usr/share/common-licenses/LGPL-2.1'; caf\xe9."
    assert parse_copyright("sample", text.encode("latin-1")) == (
        Licence("GPL-2", is_spdx=False),
        Licence("LGPL-2.1", is_spdx=False),
        Licence("see /usr/share/doc/sample/copyright", is_spdx=False),
    )


def test_a_file_that_claims_the_format_and_breaks_it_is_read_like_any_other() -> None:
    text = f"{FORMAT}\nFiles: *\nthis is no field, but /usr/share/common-licenses/GPL-3 stands here\n"
    assert [licence.text for licence in parse_copyright("sample", text.encode())] == [
        "GPL-3",
        "see /usr/share/doc/sample/copyright",
    ]
