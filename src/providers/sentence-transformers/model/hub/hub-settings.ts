/** How the Hugging Face Hub, or a mirror of it, is reached; plain data, so that it can be sent to a worker. */
export interface HubSettings {
  /** Without a slash at the end, such as `https://huggingface.co`. */
  readonly endpoint: string;
  /** Sent to the endpoint, and to no other host, as a bearer token. */
  readonly token: string | undefined;
  /** A file with the token, as Python keeps it; read when something is downloaded and `token` is undefined. */
  readonly tokenFile: string | undefined;
  /** Nothing is asked of the Hub. */
  readonly isOffline: boolean;
  /** The URL of an HTTP proxy, or its host and port. */
  readonly proxy: string | undefined;
  /** A cache as Python's huggingface_hub keeps it, to read from. */
  readonly sharedCacheFolder: string | undefined;
}

/** How far the download of a model is. */
export interface DownloadProgress {
  readonly model: string;
  /** The file's path in the model's repository. */
  readonly file: string;
  readonly loadedBytes: number;
  /** Undefined where the Hub does not say. */
  readonly totalBytes: number | undefined;
}
