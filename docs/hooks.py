"""What the site needs beside the pages of docs/: files of the repository, and equations without a network."""

import os
import re
from glob import glob
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ALSO = ("CONTRIBUTING.md", "CHANGELOG.md", "experiments/LOG.md", "paper/figures/*.svg")
"""Files from outside docs/ that are part of the site, at the same path."""

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#)([^)\s#]*)(#[^)\s]*)?\)")
NUMBER = re.compile(r"\\tag\{(\w+)\}")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Draw ```math blocks as MathML, which browsers show without a script."""
    config.mdx_configs["pymdownx.superfences"] = {
        "custom_fences": [{"name": "math", "class": "math", "format": equation}]
    }
    return config


def equation(source: str, *_: Any, **__: Any) -> str:
    """Return one displayed equation, numbered and linkable if it has a tag."""
    number = NUMBER.search(source)
    body = convert(NUMBER.sub("", source).strip(), display="block")
    if number is None:
        return f'<div class="equation">{body}</div>'
    return f'<div class="equation" id="equation-{number[1]}">{body}<span>({number[1]})</span></div>'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of `ALSO`."""
    for pattern in ALSO:
        for path in sorted(glob(pattern, root_dir=ROOT)):
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links of the site.

    A page is written so that its links work in the repository. A link to a file that is no part of the site
    becomes the path of that file.
    """
    here = Path(str(page.file.abs_src_path)).parent

    def on_site(found: re.Match[str]) -> str:
        image, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        path = os.path.relpath(here / target, ROOT)
        uri = path.removeprefix("docs/")
        if files.get_file_from_path(uri) is not None:
            return f"{image}[{text}]({os.path.relpath(uri, Path(page.file.src_uri).parent)}{anchor})"
        if not (ROOT / path).exists():
            return found[0]  # MkDocs names it.
        return text if text.strip("`") == path else f"{text} (`{path}`)"

    return LINK.sub(on_site, markdown)
