"""Loaders: what becomes of files, and that a bad one loses no other."""

import asyncio
import csv
import io
import json
import os
import threading
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomr_agents import Document, clear_factories, loader
from atomr_agents.errors import ConfigError, ContractError
from atomr_agents.ingest import (
    CsvLoader,
    DirectoryLoader,
    DocxLoader,
    HtmlLoader,
    HttpPolicy,
    JsonLinesLoader,
    JsonLoader,
    Loader,
    LoadError,
    MarkdownLoader,
    PdfLoader,
    TextLoader,
    WebLoader,
    csv_loader,
    json_loader,
    loader_from_factory,
    loader_of,
    markdown_loader,
    text_loader,
)


@pytest.fixture(autouse=True)
def clean():
    yield
    clear_factories()


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def failure(target: Loader) -> str:
    """What is wrong with the one document that cannot be loaded."""
    with pytest.raises(LoadError) as caught:
        target.load_sync()
    assert len(caught.value.failures) == 1
    return str(next(iter(caught.value.failures.values())))


# --- texts ---


def test_a_file_is_a_document_and_a_bad_one_loses_no_other(tmp_path: Path):
    good, also = written(tmp_path, "a.txt", "né"), written(tmp_path, "b.txt", "")
    bad, missing = written(tmp_path, "c.txt", b"abc\xe9"), str(tmp_path / "d.txt")
    with pytest.raises(LoadError, match=r"byte 3 \(0xe9\) is not UTF-8.*and 1 more") as caught:
        TextLoader([good, bad, missing, also]).load_sync()
    assert [document.id for document in caught.value.documents] == [good, also]
    assert list(caught.value.failures) == [bad, missing]
    found = TextLoader([good, bad, missing, also]).load_sync(errors="skip")
    assert [(document.text, document.metadata) for document in found] == [
        ("né", {"source": good}),
        ("", {"source": also}),
    ]


def test_encodings_are_declared_detected_or_marked(tmp_path: Path):
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю."
    for encoding in ("utf-8", "windows-1251", "koi8-r", "utf-16"):
        path = written(tmp_path, "a.txt", text.encode(encoding))
        assert TextLoader(path, encoding=encoding).load_sync()[0].text == text
        assert TextLoader(path, encoding="detect").load_sync()[0].text == text
    path = written(tmp_path, "b.txt", b"a\xffb")
    assert TextLoader(path, errors="replace").load_sync()[0].text == "a\ufffdb"
    with pytest.raises(ConfigError, match="klingon"):
        TextLoader(path, encoding="klingon")


def test_what_is_too_large_is_refused(tmp_path: Path):
    path = written(tmp_path, "a.txt", "x" * 101)
    assert "the file is larger than the limit of 100" in failure(TextLoader(path, max_bytes=100))
    assert text_loader([path]).load_sync()[0].text == "x" * 101


def test_front_matter_is_metadata(tmp_path: Path):
    path = written(tmp_path, "a.md", "---\ntitle: Rain\ntags: [a, b]\n---\n# Rain\n")
    (document,) = markdown_loader([path]).load_sync()
    assert (document.text, document.metadata) == ("# Rain\n", {"source": path, "title": "Rain", "tags": ["a", "b"]})
    assert MarkdownLoader(written(tmp_path, "b.md", "a\n---\n")).load_sync()[0].text == "a\n---\n"
    assert "front matter is no mapping" in failure(MarkdownLoader(written(tmp_path, "c.md", "---\n- a\n---\n")))
    bomb = "---\na: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "front matter cannot be read" in failure(MarkdownLoader(written(tmp_path, "d.md", bomb + "---\n")))


def test_html_becomes_text_with_headings(tmp_path: Path):
    html = """<!doctype html><html><head><title>The &amp; weather</title><style>p {}</style></head><body>
    <h1>Oslo</h1><p>Rain,<br>and <b>wi</b>nd.</p><script>let a = "<p>no</p>";</script><!-- no -->
    <ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b</td></tr></table><pre>x
  y</pre></body></html>"""
    (document,) = HtmlLoader(written(tmp_path, "a.html", html)).load_sync()
    assert document.text == "# Oslo\n\nRain,\nand wind.\n\n- one\n- two\n\na b\n\nx\n  y"
    assert document.metadata["title"] == "The & weather"


# --- records ---


def test_records_of_json_are_documents(tmp_path: Path):
    value = {
        "items": [
            {"id": 7, "text": "a", "metadata": {"k": [1]}},
            {"text": "b"},
            "c",
            {"id": True, "text": "d"},
            {"id": "x"},
        ]
    }
    path = written(tmp_path, "a.json", json.dumps(value))
    with pytest.raises(LoadError) as caught:
        json_loader([path], "/items").load_sync()
    assert [(each.id, each.text) for each in caught.value.documents] == [
        ("7", "a"),
        (f"{path}#/items/1", "b"),
        (f"{path}#/items/2", "c"),
    ]
    assert caught.value.documents[0].metadata == {"source": path, "k": [1]}
    problems = [str(error) for error in caught.value.failures.values()]
    assert "/id must be a text or a whole number, not true or false" in problems[0]
    assert "there is no /text" in problems[1]
    deep = written(tmp_path, "b.json", json.dumps([{"body": {"t": "x"}, "key": "k"}]))
    assert JsonLoader(deep, text="/body/t", id="/key").load_sync()[0].id == "k"
    assert "there is no /nothing" in failure(JsonLoader(path, records="/nothing"))
    assert "it is no JSON" in failure(JsonLoader(written(tmp_path, "c.json", "{")))
    assert "it is no JSON" in failure(JsonLoader(written(tmp_path, "d.json", "[" * 100_000)))
    with pytest.raises(ConfigError, match="must be a JSON pointer"):
        JsonLoader(path, text="body")


def test_lines_of_json_are_read_one_by_one(tmp_path: Path):
    lines = ['{"id": "a", "text": "1"}', "", '{"text": 2}', "nonsense", '{"text": "3"}']
    path = written(tmp_path, "a.jsonl", "\ufeff" + "\r\n".join(lines))
    with pytest.raises(LoadError) as caught:
        JsonLinesLoader(path).load_sync()
    assert [each.id for each in caught.value.documents] == ["a", f"{path}#5"]
    assert list(caught.value.failures) == [f"{path}#3", f"{path}#4"]


def test_a_line_of_two_gigabytes_is_refused_and_the_next_one_read(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": "a", "text": "1"}\n')
        file.truncate(2 << 30)  # zeros that take no room on the disk
        file.seek(0, os.SEEK_END)
        file.write(b'\n{"id": "b", "text": "2"}\n')
    with pytest.raises(LoadError, match="the line is larger than the limit of 16777216") as caught:
        JsonLinesLoader(path).load_sync()
    assert [each.id for each in caught.value.documents] == ["a", "b"]


def test_rows_of_tables_are_documents(tmp_path: Path):
    path = written(tmp_path, "a.csv", 'id,text,note\n1,"a, ""b""\nc",x\n2,plain,y\n')
    documents = csv_loader([path]).load_sync()
    assert [each.text for each in documents] == ['a, "b"\nc', "plain"]
    assert documents[0].metadata == {"source": path, "row": 1, "id": "1", "note": "x"}
    assert [each.id for each in CsvLoader(path, text_column="text", id_column="id").load_sync()] == ["1", "2"]
    assert CsvLoader(path).load_sync()[1].text == "id: 2\ntext: plain\nnote: y"
    for separator in ";\t|":
        other = written(tmp_path, "b.csv", f'text{separator}n\n"a{separator}b"{separator}1\n')
        assert csv_loader(other).load_sync()[0].text == f"a{separator}b"
    bare = written(tmp_path, "c.csv", "a,b\nc,d\n")
    assert [each.text for each in CsvLoader(bare, header=False, text_column="1").load_sync()] == ["b", "d"]
    assert CsvLoader(written(tmp_path, "d.csv", "")).load_sync() == []


def test_ragged_rows_are_named_or_taken(tmp_path: Path):
    path = written(tmp_path, "a.csv", "text,b\n1,2\n3\n4,5,6\n7,8\n")
    with pytest.raises(LoadError) as caught:
        csv_loader(path).load_sync()
    assert [each.text for each in caught.value.documents] == ["1", "7"]
    problems = [str(error) for error in caught.value.failures.values()]
    assert 'row 2 (line 3) has 1 fields, not 2: column "b" is missing' in problems[0]
    assert "row 3 (line 4) has 3 fields, not 2: field 3 belongs to no column" in problems[1]
    lenient = CsvLoader(path, text_column="text", lenient=True).load_sync()
    assert [each.text for each in lenient] == ["1", "3", "4", "7"] and lenient[2].metadata["2"] == "6"
    assert 'there is no column "t"; there are text, b' in failure(csv_loader(path, "t"))
    assert "opened on line 2 and never closed" in failure(CsvLoader(written(tmp_path, "b.csv", 'a,b\n1,"2\n3,4\n')))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8), min_size=2, max_size=2),
        max_size=6,
    )
)
def test_tables_say_what_the_csv_module_says(tmp_path: Path, rows: list[list[str]]):
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["a", "text"], *rows])
    path = written(tmp_path, "a.csv", buffer.getvalue())
    assert [each.text for each in CsvLoader(path, text_column="text", separator=",").load_sync()] == [
        row[1] for row in rows
    ]


# --- PDF and DOCX ---


def pdf(pages: list[str], *, packed: bool = True) -> bytes:
    """A PDF with a text on each page."""
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids: list[str] = []
    for text in pages:
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        data = zlib.compress(content) if packed else content
        flate = b" /Filter /FlateDecode" if packed else b""
        kids.append(f"{len(objects) + 1} 0 R")
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects) + 2} 0 R"
        objects.append((page + " /Resources << /Font << /F1 3 0 R >> >> >>").encode())
        objects.append(b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(data), flate, data))
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, os.SEEK_END)
    places: list[int] = []
    for n, each in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (n, each))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def test_pages_of_a_pdf_are_text(tmp_path: Path):
    path = written(tmp_path, "a.pdf", pdf(["Rain in Oslo.", "Wind."]))
    (document,) = PdfLoader(path).load_sync()
    assert (document.text, document.metadata["pages"]) == ("Rain in Oslo.\n\nWind.", 2)
    pages = PdfLoader(path, by_page=True).load_sync()
    assert [(each.id, each.text, each.metadata["page"]) for each in pages] == [
        (f"{path}#page=1", "Rain in Oslo.", 1),
        (f"{path}#page=2", "Wind.", 2),
    ]


def test_broken_pdfs_are_errors(tmp_path: Path):
    whole = pdf(["Rain."])
    for n, broken in enumerate(
        [b"", b"%PDF-1.4\n", b"no pdf at all", whole[:60], whole.replace(b"/Pages 2 0 R", b"/Pages 9 0 R")]
    ):
        assert "PDF" in failure(PdfLoader(written(tmp_path, f"{n}.pdf", broken)))
    bomb = pdf(["x" * 50_000_000])
    assert len(bomb) < 100_000
    assert "limit" in failure(PdfLoader(written(tmp_path, "bomb.pdf", bomb), max_unpacked=1 << 20)).lower()


def docx(xml: str, *, name: str = "word/document.xml") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, xml)
    return out.getvalue()


def body(inner: str, before: str = "") -> str:
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<?xml version="1.0"?>{before}<w:document xmlns:w="{namespace}"><w:body>{inner}</w:body></w:document>'


def test_paragraphs_of_a_docx_are_text(tmp_path: Path):
    run = "<w:r><w:t xml:space='preserve'>{}</w:t></w:r>".format
    paragraphs = (
        f"<w:p><w:pPr><w:pStyle w:val='Heading2'/></w:pPr>{run('Oslo')}</w:p>"
        f"<w:p>{run('Rain &amp; ')}<w:del><w:r><w:t>old</w:t></w:r></w:del>{run('wind &#x2614;')}<w:r><w:br/></w:r>{run('more')}</w:p>"
        f"<w:tbl><w:tblGrid/><w:tr><w:tc><w:p>{run('a')}</w:p></w:tc><w:tc><w:p>{run('b')}</w:p></w:tc></w:tr></w:tbl>"
        f"<w:p>{run('End.')}</w:p>"
    )
    (document,) = DocxLoader(written(tmp_path, "a.docx", docx(body(paragraphs)))).load_sync()
    assert document.text == "## Oslo\n\nRain & wind ☔\nmore\n\na | b |\n\nEnd."


def test_bombs_and_broken_archives_are_refused(tmp_path: Path):
    bomb = docx(body("<w:p><w:r><w:t>" + "A" * 200_000_000 + "</w:t></w:r></w:p>"))
    assert len(bomb) < 1_000_000
    assert "unpacked, is larger than the limit" in failure(DocxLoader(written(tmp_path, "bomb.docx", bomb)))
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    laughs = docx(body("<w:p><w:r><w:t>&b;</w:t></w:r></w:p>", entities))
    assert "document type declaration" in failure(DocxLoader(written(tmp_path, "laughs.docx", laughs)))
    assert "unknown entity" in failure(
        DocxLoader(written(tmp_path, "e.docx", docx(body("<w:p><w:r><w:t>&b;</w:t></w:r></w:p>"))))
    )
    for n, broken in enumerate([b"", b"PK\x03\x04", docx("x", name="other.xml"), docx("<a><b>")[:80], docx("<a></b>")]):
        assert "DOCX" in (text := failure(DocxLoader(written(tmp_path, f"{n}.docx", broken)))) or "broken" in text


# --- directories ---


def test_a_directory_is_read_in_order_and_only_what_fits(tmp_path: Path):
    for name in ("b.md", "a/z.txt", "a/y.md", "c/d/e.txt", ".hidden/x.txt", "f.csv", "skip/s.txt"):
        written(tmp_path, name, "text\n1\n" if name.endswith("csv") else name)
    ids = [each.id for each in DirectoryLoader(tmp_path, exclude="skip/**").load_sync()]
    assert ids == ["a/y.md", "a/z.txt", "b.md", "c/d/e.txt", "f.csv#1"]
    assert [each.id for each in DirectoryLoader(tmp_path, "*.md").load_sync()] == ["b.md"]
    assert [each.id for each in DirectoryLoader(tmp_path, ["**/*.md", "c/**"]).load_sync()] == [
        "a/y.md",
        "b.md",
        "c/d/e.txt",
    ]
    assert ".hidden/x.txt" in [each.id for each in DirectoryLoader(tmp_path, hidden=True).load_sync()]
    with pytest.raises(ConfigError, match="include is no pattern"):
        DirectoryLoader(tmp_path, "[")
    assert "nowhere" in failure(DirectoryLoader(tmp_path / "nowhere"))


def test_links_do_not_lead_out(tmp_path: Path):
    outside = written(tmp_path, "outside/secret.txt", "secret")
    inside = tmp_path / "inside"
    written(inside, "a.txt", "a")
    (inside / "link.txt").symlink_to(outside)
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "round").symlink_to(inside)
    os.mkfifo(inside / "pipe.txt")
    assert [each.id for each in DirectoryLoader(inside).load_sync()] == ["a.txt"]


def test_a_directory_that_changes_while_it_is_read_loses_only_what_changed(tmp_path: Path):
    # More than is read ahead, so that what happens now is seen.
    for n in range(300):
        written(tmp_path, f"{n:03}.txt", "x" * 40_000)
    done = threading.Event()

    def change():
        for n in range(299, 150, -1):
            (tmp_path / f"{n:03}.txt").unlink(missing_ok=True)
            if done.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        documents = DirectoryLoader(tmp_path).load_sync()
        failures: dict[str, Exception] = {}
    except LoadError as error:
        documents, failures = error.documents, error.failures
    finally:
        done.set()
        thread.join()
    assert [each.id for each in documents][:150] == [f"{n:03}.txt" for n in range(150)]
    assert len(documents) + len(failures) <= 300
    assert all("o such file" in str(error) for error in failures.values())


# --- pages of the web ---


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        pages: dict[str, tuple[str, bytes]] = {
            "/a": ("text/html; charset=latin-1", "<title>T</title><h1>é</h1>".encode("latin-1")),
            "/b": ("text/html", b'<meta charset="windows-1251"><p>' + "дождь".encode("windows-1251")),
            "/c": ("text/plain", b"plain"),
            "/d": ("image/png", b"\x89PNG"),
        }
        if self.path == "/inside":
            self.send_response(302)
            self.send_header("location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        if self.path not in pages:
            self.send_error(404)
            return
        kind, content = pages[self.path]
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pages_are_fetched_within_the_policy(site: str):
    policy = HttpPolicy(allowed=["127.0.0.1"])
    with pytest.raises(LoadError) as caught:
        WebLoader([f"{site}/{page}" for page in ("a", "b", "c", "d", "e", "inside")], policy=policy).load_sync()
    assert [each.text for each in caught.value.documents] == ["# é", "дождь", "plain"]
    assert caught.value.documents[0].metadata["title"] == "T"
    problems = [str(error) for error in caught.value.failures.values()]
    assert "it is image/png" in problems[0] and "answered 404" in problems[1]
    assert "169.254.169.254/latest/meta-data/ may not be fetched: it is link-local" in problems[2]
    assert {getattr(error, "kind", None) for error in list(caught.value.failures.values())[1:]} == {
        "not_found",
        "denied",
    }


def test_without_leave_nothing_of_this_machine_is_fetched(site: str):
    assert "may not be fetched: it is loopback" in failure(WebLoader(f"{site}/a"))
    assert "not among those allowed" in failure(
        WebLoader("https://example.org/", policy=HttpPolicy(hosts=["example.com"]))
    )
    with pytest.raises(ConfigError, match="IP addresses"):
        WebLoader("https://example.org/", policy=HttpPolicy(allowed=["example.org"]))


# --- loaders of one's own ---


async def test_a_loader_of_ones_own_may_be_plain_or_async():
    @loader("notes")
    async def notes() -> list[Document]:
        await asyncio.sleep(0)
        return [Document("a", "x")]

    assert [each.id for each in await loader_from_factory("notes").load()] == ["a"]
    assert [each.id for each in await loader_of([Document("b", "y")]).load()] == ["b"]
    with pytest.raises(ContractError, match="expected a list of Document"):
        await loader_of(lambda: [1]).load()  # type: ignore[list-item,return-value]

    def broken() -> list[Document]:
        raise LookupError("no notes")

    with pytest.raises(LookupError, match="no notes"):
        await loader_of(broken).load()


async def test_loading_is_stopped_by_its_task(tmp_path: Path):
    for n in range(2_000):
        written(tmp_path, f"{n}.txt", "x" * 10_000)
    task = asyncio.create_task(DirectoryLoader(tmp_path).load())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
