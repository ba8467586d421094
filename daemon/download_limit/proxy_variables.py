"""The environment variables that make uv use a proxy."""


def proxy_variables(url: str) -> dict[str, str | None]:
    """Return the variables that make uv use a proxy for every host.

    Args:
        url: The proxy.

    Returns:
        Values by name; None for a variable that must not be set.
    """
    unset = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy"))
    return {**unset, "HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url}
