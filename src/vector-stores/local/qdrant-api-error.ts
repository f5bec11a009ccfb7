/**
 * A refusal in the form that the real client throws (an object of `status` and `data.status.error`), so that whoever
 * maps the errors of a Qdrant server maps those of the local engine with the same code. Messages name keys and counts,
 * never a payload's value or a vector.
 */
export class QdrantApiError extends Error {
  readonly status: number;
  readonly statusText: string;
  readonly data: { readonly status: { readonly error: string }; readonly time: 0 };

  constructor(status: number, statusText: string, reason: string) {
    super(statusText);
    this.status = status;
    this.statusText = statusText;
    this.data = { status: { error: reason }, time: 0 };
  }
}

/** The request makes no sense for this collection: a wrong dimension, a missing index, an unsupported feature. */
export const badInput = (reason: string): QdrantApiError =>
  new QdrantApiError(400, 'Bad Request', `Wrong input: ${reason}`);

/** The request is not of the documented form. */
export const formatError = (reason: string): QdrantApiError =>
  new QdrantApiError(400, 'Bad Request', `Format error in JSON body: ${reason}`);

/** The request has the documented form and a value out of range. */
export const validationError = (reason: string): QdrantApiError =>
  new QdrantApiError(422, 'Unprocessable Entity', `Validation error in JSON body: [${reason}]`);

export const collectionNotFound = (name: string): QdrantApiError =>
  new QdrantApiError(404, 'Not Found', `Not found: Collection \`${name}\` doesn't exist!`);

export const collectionExists = (name: string): QdrantApiError =>
  new QdrantApiError(409, 'Conflict', `Wrong input: Collection \`${name}\` already exists!`);
