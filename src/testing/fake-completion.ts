/** The part of a request to the fake gateway that an answer is made of. */
interface CompletionRequest {
  readonly number: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A message of the assistant in the form of the OpenAI API. */
export interface FakeMessage {
  readonly content?: string | null;
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly type: 'function';
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
  /** Why it ends. @default 'tool_calls' if there are some, otherwise 'stop' */
  readonly finish_reason?: string;
}

export function fakeCompletion(request: CompletionRequest, given: FakeMessage | string | undefined) {
  const messages = request.body.messages as readonly { readonly content?: unknown }[];
  const prompt = String(messages.at(-1)?.content ?? '');
  const { finish_reason, ...message }: FakeMessage =
    typeof given === 'object' ? given : { content: given ?? prompt.toUpperCase() };
  const outputTokens = JSON.stringify(message).length;
  return {
    id: `chatcmpl-${request.number}`,
    object: 'chat.completion',
    model: request.body.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: null, ...message },
        finish_reason: finish_reason ?? (message.tool_calls ? 'tool_calls' : 'stop'),
      },
    ],
    usage: {
      prompt_tokens: prompt.length,
      completion_tokens: outputTokens,
      total_tokens: prompt.length + outputTokens,
    },
  };
}

/**
 * The same as a stream: text and arguments in pieces of three characters, the reason for the end, the usage if it is
 * asked for.
 */
export function eventsOf(completion: ReturnType<typeof fakeCompletion>, request: CompletionRequest): unknown[] {
  const [choice] = completion.choices;
  const { content, tool_calls: calls = [] }: FakeMessage = choice?.message ?? {};
  const event = (delta: object, finishReason: string | null = null) => ({
    id: completion.id,
    object: 'chat.completion.chunk',
    model: completion.model,
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  });
  const wantsUsage = (request.body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true;
  return [
    event({ role: 'assistant', content: '' }),
    ...piecesOf(content ?? '').map((piece) => event({ content: piece })),
    ...calls.flatMap((call, index) => [
      event({ tool_calls: [{ index, ...call, function: { name: call.function.name, arguments: '' } }] }),
      ...piecesOf(call.function.arguments).map((piece) =>
        event({ tool_calls: [{ index, function: { arguments: piece } }] }),
      ),
    ]),
    event({}, choice?.finish_reason ?? 'stop'),
    ...(wantsUsage ? [{ ...event({}), choices: [], usage: completion.usage }] : []),
  ];
}

function piecesOf(text: string): string[] {
  return text.match(/.{1,3}/gs) ?? [];
}
