"""The credentials for a registry, as `docker login` writes them to Docker's configuration."""

from collections.abc import Mapping

from gens.errors import CredentialsError
from gens.registry_credentials import Credentials, read_credentials
from image.errors import AccessError
from image.oci.reference import Repository

__all__ = ["Credentials", "find_credentials"]


def find_credentials(repository: Repository, environment: Mapping[str, str]) -> Credentials:
    """Read the credentials for the registry of a repository.

    Args:
        repository: A repository of the registry.
        environment: The variables DOCKER_CONFIG, HOME, and PATH for the helpers.

    Returns:
        The credentials; empty if the configuration has none.

    Raises:
        AccessError: The configuration or a helper's answer is malformed, or a helper failed.
    """
    try:
        return read_credentials(
            repository.credentials_key, repository.host, environment, repository=repository.name
        )
    except CredentialsError as error:
        raise AccessError(str(error)) from error
