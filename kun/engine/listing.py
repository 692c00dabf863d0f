"""What a server says of itself before a row is sent: whether it is there, and which models it has."""

import openai

from kun.engine.connection import HOPELESS, api_key, quoted, said_by
from kun.errors import ServerError
from kun.params import Server

REFUSED = (401, 402, 403)
"""The server is there, and this key is not welcome."""


def listed_models(server: Server) -> list[str] | None:
    """Names by GET /v1/models, asked once; None where the server keeps no such list, as it may.

    ServerError when it does not answer, is not ready or refuses the key; ConfigError when the key's variable is not set.
    """
    key = api_key(server)
    client = openai.OpenAI(base_url=server.url, api_key=key or "none", timeout=server.timeout, max_retries=0)
    try:
        with client:
            told = client.models.with_raw_response.list().http_response.json()
    except openai.APITimeoutError:
        raise ServerError(f"{server.url} does not answer within {server.timeout:g} seconds; look at its log") from None
    except openai.APIConnectionError as error:
        why = quoted(error.__cause__ or error, key)
        raise ServerError(f"{server.url} does not answer ({why}); start it, or mend engine.server.url") from None
    except openai.APIStatusError as error:
        _check_status(server, error, key)
        return None
    except ValueError:  # some other page
        return None
    rows = told.get("data") if isinstance(told, dict) else None
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row] if isinstance(rows, list) else None


def _check_status(server: Server, error: openai.APIStatusError, key: str) -> None:
    """ServerError unless the list is all that is missing."""
    status = error.status_code
    if status not in REFUSED and status < 500:
        return
    fix = HOPELESS[status] if status in REFUSED else "wait until it is ready, or look at its log"
    raise ServerError(f"{server.url} answers HTTP {status} ({quoted(said_by(error), key)}); {fix}")
