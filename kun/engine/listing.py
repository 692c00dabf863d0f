"""What a server says of itself before a row is sent: whether it is there, and which models it has."""

import openai

from kun.engine.connection import HOPELESS, api_key, quoted, said_by
from kun.errors import ServerError
from kun.params import Server

REFUSED = (401, 402, 403)
"""The server is there, and this key is not welcome."""


def listed_models(server: Server) -> list[str] | None:
    """Names by GET /v1/models, asked once; None where the server keeps no such list, as it may.

    ServerError when it does not answer or refuses the key; ConfigError when the key's variable is not set.
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
        if (status := error.status_code) not in REFUSED:
            return None  # transformers serve lists its cache, and fails where there is none
        why = quoted(said_by(error), key)
        raise ServerError(f"{server.url} answers HTTP {status} ({why}); {HOPELESS[status]}") from None
    except ValueError:  # some other page
        return None
    rows = told.get("data") if isinstance(told, dict) else None
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row] if isinstance(rows, list) else None
