"""The Debian packages whose programs run when images are built: for the builder's architecture, whatever the image's."""

# The Python of the images, the libraries that it loads, and the smallest part of its library.
IMAGE_PYTHON = [
    "libc6",
    "libexpat1",
    "libpython3.13-minimal",
    "python3.13-minimal",
    "zlib1g",
]

# The programs of image/debian/rootfs/configuration.py, and the libraries that they and the loaders of gdk-pixbuf load.
PROGRAMS = IMAGE_PYTHON + [
    "dpkg",
    "libatomic1",
    "libblkid1",
    "libdeflate0",
    "libffi8",
    "libgcc-s1",
    "libgdk-pixbuf-2.0-0",
    "libglib2.0-0t64",
    "libjbig0",
    "libjpeg62-turbo",
    "liblerc4",
    "liblzma5",
    "libmount1",
    "libpcre2-8-0",
    "libpng16-16t64",
    "libselinux1",
    "libsharpyuv0",
    "libssl3t64",
    "libstdc++6",
    "libtiff6",
    "libwebp7",
    "libxml2",
    "libzstd1",
    "openssl",
    "shared-mime-info",
]

def builder_packages(name, packages):
    """Declares the .deb files of packages for the builder's architecture; users name them with `cfg = "exec"`.

    Args:
      name: of the target.
      packages: their names.
    """
    native.filegroup(
        name = name,
        srcs = select({
            "@platforms//cpu:aarch64": ["@debian_arm64//:packages/%s.deb" % package for package in packages],
            "//conditions:default": ["@debian_amd64//:packages/%s.deb" % package for package in packages],
        }),
    )
