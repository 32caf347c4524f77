"""JSON made at random from the schemas of statements' own models, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.statement_fields import MAX_INTEGER
from fedsecure.protocol.statements import Statement

Values = st.SearchStrategy[Any]

FEW = 4  # items, where more are allowed

JSON: Values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
LINES = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"]), min_size=1)
OPAQUE: dict[str, Values] = {  # what a schema does not say
    "body": st.dictionaries(st.text(), JSON, max_size=FEW),
    "reason": LINES.filter(lambda text: len(text) <= 200),
    "sealing_key": st.integers(0, 255).map(lambda one: base64url(bytes([one]) * 1216)),
    "key": st.integers(0, 255).map(lambda one: base64url(bytes([one]) * 1168)),
}


def values(schema: dict[str, Any], parts: dict[str, Any]) -> Values:
    """Whatever JSON a schema allows."""
    if "$ref" in schema:
        return values(parts[schema["$ref"].rpartition("/")[2]], parts)
    for choice in {"anyOf", "oneOf"} & schema.keys():
        return st.one_of(*(values(one, parts) for one in schema[choice]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema["type"] == "array":
        most = min(FEW, schema.get("maxItems", FEW))
        return st.lists(
            values(schema["items"], parts),
            min_size=schema.get("minItems", 0),
            max_size=most,
        )
    if schema["type"] == "object":
        return members(schema, parts)
    return plain(schema)


def members(schema: dict[str, Any], parts: dict[str, Any]) -> Values:
    """Objects with fixed keys, or with keys of a pattern."""
    for pattern, inner in schema.get("patternProperties", {}).items():
        keys = plain({"type": "string", "pattern": pattern})
        return st.dictionaries(keys, values(inner, parts), max_size=FEW)
    return st.fixed_dictionaries(
        {
            name: OPAQUE[name] if name in OPAQUE else values(inner, parts)
            for name, inner in schema["properties"].items()
        }
    )


def plain(schema: dict[str, Any]) -> Values:
    """Texts and numbers within their limits."""
    if "pattern" in schema:
        pattern = schema["pattern"].removeprefix("^").removesuffix("$")
        return st.from_regex(pattern, fullmatch=True)
    above = schema.get("exclusiveMinimum")
    return {
        "string": st.text(max_size=schema.get("maxLength", 50)),
        "integer": st.integers(schema.get("minimum"), schema.get("maximum")),
        "number": st.floats(
            above,
            schema.get("exclusiveMaximum"),
            exclude_min=above is not None,
            exclude_max="exclusiveMaximum" in schema,
            allow_nan=False,
            allow_infinity=False,
        ),
        "boolean": st.booleans(),
        "null": st.none(),
    }[schema["type"]]


def statements(kind: type[Statement]) -> Values:
    """Whatever JSON the schema of a statement allows."""
    schema = kind.model_json_schema()
    return values(schema, schema.get("$defs", {}))
