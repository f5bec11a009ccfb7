import { isObject, type JsonObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';

/** Mean earth radius in metres, as in the crate `geo` that Qdrant uses. */
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

/** Whether a value is a place on Earth: an index of places holds no other. */
export function isPlace(value: unknown): boolean {
  const point = readPoint(value);
  return point !== undefined && isOnEarth(point);
}

const isOnEarth = ({ lon, lat }: GeoPoint): boolean => Math.abs(lat) <= 90 && Math.abs(lon) <= 180;

function requirePoint(value: unknown): GeoPoint {
  const point = readPoint(value);
  if (!point) throw formatError('a geo point must have a numeric `lon` and `lat`');
  if (!isOnEarth(point)) throw validationError('a geo point is out of range');
  return point;
}

function requireRing(value: unknown): GeoPoint[] {
  const points = isObject(value) && Array.isArray(value.points) ? value.points.map(requirePoint) : [];
  const [first, last] = [points[0], points.at(-1)];
  const isNear = (left = Number.NaN, right = Number.NaN): boolean => Math.abs(left - right) <= Number.EPSILON;
  if (points.length < 4 || !isNear(first?.lon, last?.lon) || !isNear(first?.lat, last?.lat)) {
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

/** Inside the exterior ring and outside every interior one; the borders of all rings are outside the polygon. */
export function parseGeoPolygon(condition: JsonObject): GeoCheck {
  const exterior = requireRing(condition.exterior);
  const interiors = Array.isArray(condition.interiors) ? condition.interiors.map(requireRing) : [];
  return (value) => {
    const point = readPoint(value);
    return (
      point !== undefined &&
      positionIn(exterior, point) === 'inside' &&
      interiors.every((ring) => positionIn(ring, point) === 'outside')
    );
  };
}

/** By the number of edges that a ray to the east crosses. */
function positionIn(ring: readonly GeoPoint[], point: GeoPoint): 'inside' | 'border' | 'outside' {
  let isInside = false;
  for (let index = 1; index < ring.length; index++) {
    const [from, to] = [ring[index - 1] as GeoPoint, ring[index] as GeoPoint];
    const side = (to.lon - from.lon) * (point.lat - from.lat) - (to.lat - from.lat) * (point.lon - from.lon);
    if (side === 0 && isBetween(point.lon, from.lon, to.lon) && isBetween(point.lat, from.lat, to.lat)) return 'border';
    if (from.lat > point.lat === to.lat > point.lat) continue;
    // East of the edge if it lies to the left of an edge that leads south, or to the right of one that leads north.
    if (side > 0 === to.lat > from.lat) isInside = !isInside;
  }
  return isInside ? 'inside' : 'outside';
}

const isBetween = (value: number, left: number, right: number): boolean =>
  value >= Math.min(left, right) && value <= Math.max(left, right);
