"""The image of the daemon, with the generations of this repository or of another one."""

load("//image:image.bzl", "oci_image")

def daemon_image(name, generations_layer, **kwargs):
    """Makes the image of a daemon: NAME, an OCI index, of NAME_amd64 and NAME_arm64. `oci_push` and `oci_sbom` take NAME.

    Args:
      name: of the targets.
      generations_layer: what the daemon installs: `NAME.layer` of `generations` (gens/defs.bzl).
      **kwargs: what all rules take: visibility, tags.
    """
    oci_image(
        name = name,
        command = ["run"],
        entrypoint = [
            "/usr/bin/tini",
            "--",
            "/usr/local/bin/monobase",
        ],
        environment = {
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            # uv trusts whom the image trusts, so that a bundle mounted over /etc/ssl/certs counts.
            "UV_SYSTEM_CERTS": "true",
        },
        exposed_ports = ["8080/tcp"],
        labels = dict(
            description = "Installs the environments of Monobase under one prefix of a node",
            licenses = "Apache-2.0",
            title = "monobase-daemon",
        ),
        layers = [
            str(Label("//image/debian:system_{architecture}")),
            str(Label("//image/debian:build_{architecture}")),
            str(Label("//image/debian:python_{architecture}")),
            str(Label("//image/wheels:layer_{architecture}")),
            generations_layer,
            str(Label("//daemon:daemon_layer")),
        ],
        stop_signal = "SIGTERM",
        version = Label("//gens:version"),
        **kwargs
    )
