"""Answers filters with Qdrant's own code (the package qdrant-edge-py: its segment engine in this process).

Reads one JSON object a line from standard input:
    {"points": [{"id", "payload"}], "indexes": {key: schema}, "indexesFirst": bool, "filters": [...], "facets": [key]}
and writes one line for each: {"found": [[id, …], …], "facets": [[[value, count], …] or "refused", …]}, or {"failed": message}.
"""

import json
import shutil
import sys
import tempfile

import qdrant_edge as edge


def point(place):
    return edge.GeoPoint(lon=place["lon"], lat=place["lat"])


def match(given):
    if "value" in given:
        return edge.MatchValue(given["value"])
    forms = {
        "text": edge.MatchText,
        "text_any": edge.MatchTextAny,
        "phrase": edge.MatchPhrase,
        "prefix": edge.MatchPrefix,
        "any": edge.MatchAny,
        "except": edge.MatchExcept,
    }
    for name, form in forms.items():
        if name in given:
            return form(given[name])
    raise ValueError(f"no such match: {list(given)}")


def value_range(given):
    is_dates = any(isinstance(bound, str) for bound in given.values())
    return (edge.RangeDateTime if is_dates else edge.RangeFloat)(**given)


def field(given):
    conditions = {}
    if "match" in given:
        conditions["match"] = match(given["match"])
    if "range" in given:
        conditions["range"] = value_range(given["range"])
    if "geo_bounding_box" in given:
        box = given["geo_bounding_box"]
        conditions["geo_bounding_box"] = edge.GeoBoundingBox(point(box["top_left"]), point(box["bottom_right"]))
    if "geo_radius" in given:
        circle = given["geo_radius"]
        conditions["geo_radius"] = edge.GeoRadius(point(circle["center"]), circle["radius"])
    if "geo_polygon" in given:
        polygon = given["geo_polygon"]
        holes = [[point(place) for place in ring["points"]] for ring in polygon.get("interiors", [])]
        exterior = [point(place) for place in polygon["exterior"]["points"]]
        conditions["geo_polygon"] = edge.GeoPolygon(exterior, holes)
    if "values_count" in given:
        conditions["values_count"] = edge.ValuesCount(**given["values_count"])
    for name in ("is_empty", "is_null"):
        if name in given:
            conditions[name] = given[name]
    return edge.FieldCondition(given["key"], **conditions)


def condition(given):
    if "key" in given:
        return field(given)
    if "is_empty" in given:
        return edge.IsEmptyCondition(given["is_empty"]["key"])
    if "is_null" in given:
        return edge.IsNullCondition(given["is_null"]["key"])
    if "has_id" in given:
        return edge.HasIdCondition(set(given["has_id"]))
    if "nested" in given:
        return edge.NestedCondition(given["nested"]["key"], parse(given["nested"]["filter"]))
    return parse(given)


def parse(given):
    groups = {}
    for name in ("must", "should", "must_not"):
        if given.get(name):
            groups[name] = [condition(one) for one in given[name]]
    if "min_should" in given:
        some = given["min_should"]
        groups["min_should"] = edge.MinShould([condition(one) for one in some["conditions"]], some["min_count"])
    return edge.Filter(**groups)


def index_of(schema):
    kind = schema["type"]
    settings = {name: value for name, value in schema.items() if name != "type"}
    if kind == "text":
        if "tokenizer" in settings:
            settings["tokenizer"] = getattr(edge.TokenizerType, settings["tokenizer"].capitalize())
        return edge.TextIndexParams(**settings)
    if kind == "integer" and settings:
        return edge.IntegerIndexParams(**settings)
    return getattr(edge.PayloadSchemaType, kind.capitalize())


def answer(job):
    folder = tempfile.mkdtemp(prefix="qdrant-edge-")
    try:
        vectors = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
        shard = edge.EdgeShard.create(folder, edge.EdgeConfig(vectors=vectors, wal_enabled=False))

        def make_indexes():
            for key, schema in job["indexes"].items():
                shard.update(edge.UpdateOperation.create_field_index(key, index_of(schema)))

        if job["indexesFirst"]:
            make_indexes()
        points = [edge.Point(one["id"], [1.0], one["payload"]) for one in job["points"]]
        shard.update(edge.UpdateOperation.upsert_points(points))
        if not job["indexesFirst"]:
            make_indexes()

        def find(given):
            request = edge.ScrollRequest(limit=len(points) + 1, filter=parse(given), with_payload=False)
            return sorted(record.id for record in shard.scroll(request)[0])

        found = [find(given) for given in job["filters"]]
        facets = []
        for key in job.get("facets", []):
            try:
                hits = shard.facet(edge.FacetRequest(key, limit=1000, exact=True)).hits
            except Exception:
                facets.append("refused")
                continue
            facets.append([[str(hit.value) if not isinstance(hit.value, (int, str)) else hit.value, hit.count] for hit in hits])
        shard.close()
        return {"found": found, "facets": facets}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except BaseException as error:  # Rust panics are no Exception.
        result = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
