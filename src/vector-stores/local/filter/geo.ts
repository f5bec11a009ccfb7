import { isObject, type JsonObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';

/** Mean earth radius in metres, as the `geo` crate that Qdrant uses has it. */
const earthRadius = 6_371_008.8;

interface GeoPoint {
  readonly lon: number;
  readonly lat: number;
}

type GeoCheck = (value: unknown) => boolean;

function readPoint(value: unknown): GeoPoint | undefined {
  if (!isObject(value)) return undefined;
  const { lon, lat } = value;
  return typeof lon === 'number' && typeof lat === 'number' ? { lon, lat } : undefined;
}

function requirePoint(value: unknown): GeoPoint {
  const point = readPoint(value);
  if (!point) throw formatError('a geo point must have a numeric `lon` and `lat`');
  if (Math.abs(point.lat) > 90 || Math.abs(point.lon) > 180) throw validationError('a geo point is out of range');
  return point;
}

function requireRing(value: unknown): GeoPoint[] {
  const points = isObject(value) && Array.isArray(value.points) ? value.points.map(requirePoint) : [];
  const [first, last] = [points[0], points.at(-1)];
  if (points.length < 4 || first?.lon !== last?.lon || first?.lat !== last?.lat) {
    throw validationError('a geo polygon ring must have at least 4 points and end where it begins');
  }
  return points;
}

/** Great-circle distance below the radius (metres), by the haversine formula. */
export function parseGeoRadius(condition: JsonObject): GeoCheck {
  const center = requirePoint(condition.center);
  const radius = condition.radius;
  if (typeof radius !== 'number') throw formatError('`radius` must be a number');
  return (value) => {
    const point = readPoint(value);
    return point !== undefined && haversine(center, point) < radius;
  };
}

function haversine(left: GeoPoint, right: GeoPoint): number {
  const radians = Math.PI / 180;
  const [phi, theta] = [(right.lat - left.lat) * radians, (right.lon - left.lon) * radians];
  const a =
    Math.sin(phi / 2) ** 2 + Math.cos(left.lat * radians) * Math.cos(right.lat * radians) * Math.sin(theta / 2) ** 2;
  return 2 * earthRadius * Math.asin(Math.sqrt(a));
}

/** Strictly inside the box; one whose left edge lies east of its right edge crosses the antimeridian. */
export function parseGeoBoundingBox(condition: JsonObject): GeoCheck {
  const topLeft = requirePoint(condition.top_left);
  const bottomRight = requirePoint(condition.bottom_right);
  return (value) => {
    const point = readPoint(value);
    if (!point || point.lat >= topLeft.lat || point.lat <= bottomRight.lat) return false;
    const [isEast, isWest] = [point.lon > topLeft.lon, point.lon < bottomRight.lon];
    return topLeft.lon > bottomRight.lon ? isEast || isWest : isEast && isWest;
  };
}

/** Inside the exterior ring and outside every interior one. */
export function parseGeoPolygon(condition: JsonObject): GeoCheck {
  const exterior = requireRing(condition.exterior);
  const interiors = Array.isArray(condition.interiors) ? condition.interiors.map(requireRing) : [];
  return (value) => {
    const point = readPoint(value);
    return point !== undefined && isInside(point, exterior) && !interiors.some((ring) => isInside(point, ring));
  };
}

function isInside(point: GeoPoint, ring: readonly GeoPoint[]): boolean {
  let inside = false;
  for (let index = 1; index < ring.length; index++) {
    const [from, to] = [ring[index - 1] as GeoPoint, ring[index] as GeoPoint];
    if (from.lat > point.lat === to.lat > point.lat) continue;
    const crossing = from.lon + ((point.lat - from.lat) / (to.lat - from.lat)) * (to.lon - from.lon);
    if (point.lon < crossing) inside = !inside;
  }
  return inside;
}
