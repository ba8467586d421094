"""Images as files: descriptors, layers, configurations, layouts and archives (OCI image-spec v1.1).

Enters: files and tar archives. Leaves: compressed layers with their facts, layouts, and a tar archive of a
layout for container engines. Uses no network; parses names of images, also as options of
commands.
"""
