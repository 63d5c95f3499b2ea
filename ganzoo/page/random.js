// Random inputs: the numbers of ganzoo/sampling.py, bit for bit. Words of Philox 4x64-10 (Salmon et al. 2011),
// and doubles from operations that IEEE 754 rounds correctly.

const MASK = (1n << 64n) - 1n;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
const LN2 = 0.6931471805599453;
const TURN = 6.283185307179586;
const ARTANH = Array.from({ length: 11 }, (_, k) => 1 / (2 * k + 1));
const SINE = [
  1.0, -0.16666666666666666, 0.008333333333333333, -0.0001984126984126984, 2.7557319223985893e-06,
  -2.505210838544172e-08, 1.6059043836821613e-10, -7.647163731819816e-13, 2.8114572543455206e-15,
  -8.22063524662433e-18, 1.9572941063391263e-20, -3.868170170630684e-23,
];

// The four 64-bit words of one step of the counter.
function philox(counter, seed, stream) {
  let words = [0n, 64n, 128n, 192n].map((shift) => (counter >> shift) & MASK);
  let [first, second] = [seed, stream];
  for (let round = 0; round < 10; round++) {
    const a = words[0] * MULTIPLIERS[0];
    const b = words[2] * MULTIPLIERS[1];
    words = [(b >> 64n) ^ words[1] ^ first, b & MASK, (a >> 64n) ^ words[3] ^ second, a & MASK];
    first = (first + WEYL[0]) & MASK;
    second = (second + WEYL[1]) & MASK;
  }
  return words;
}

// The first `size` words of a row; every row starts at its own step. numpy steps before it computes.
function rowWords(size, seed, stream, row) {
  const steps = Math.ceil(size / 4);
  const words = [];
  let counter = BigInt(row) * BigInt(steps);
  while (words.length < size) words.push(...philox((counter += 1n), seed, stream));
  return words.slice(0, size);
}

const toUnit = (word) => Number(word >> 11n) * 2 ** -53;

function polynomial(x, coefficients) {
  let result = coefficients[coefficients.length - 1];
  for (let k = coefficients.length - 2; k >= 0; k--) result = result * x + coefficients[k];
  return result;
}

// log of x in (0, 1], as x = mantissa * 2 ** exponent.
function logarithm(x) {
  let exponent = 0;
  while (x < 0.5) {
    x *= 2;
    exponent--;
  }
  if (x === 1) [x, exponent] = [0.5, 1];
  if (x < Math.sqrt(0.5)) {
    x *= 2;
    exponent--;
  }
  const ratio = (x - 1) / (x + 1);
  return exponent * LN2 + 2 * ratio * polynomial(ratio * ratio, ARTANH);
}

// sin of an angle in turns from 0 to 1.25.
function sine(turns) {
  turns -= turns > 0.5 ? 1 : 0;
  if (Math.abs(turns) > 0.25) turns = (turns < 0 ? -0.5 : 0.5) - turns;
  const angle = TURN * turns;
  return angle * polynomial(angle * angle, SINE);
}

// One row of a field: floats as Float32Array, labels as Int32Array.
function drawRow(field, seed, row) {
  const size = field.shape.reduce((a, b) => a * b, 1);
  const make = field.dtype === "int64" ? Int32Array : Float32Array;
  if (field.source === "constant") return new make(size).fill(field.default);
  const words = rowWords(size + (size % 2), seed, BigInt(field.stream), row);
  const values = new make(size);
  if (field.dtype === "int64") {
    for (let i = 0; i < size; i++) values[i] = field.shares ? pickClass(field.shares, words[i]) : Number(words[i] % BigInt(field.classes.length));
    return values;
  }
  if (field.source === "uniform") return values.map((_, i) => 2 * toUnit(words[i]) - 1);
  for (let i = 0; i < size; i += 2) {
    const radius = Math.sqrt(-2 * logarithm(1 - toUnit(words[i])));
    const turns = toUnit(words[i + 1]);
    values[i] = radius * sine(turns + 0.25);
    if (i + 1 < size) values[i + 1] = radius * sine(turns);
  }
  return values;
}

function pickClass(shares, word) {
  const ends = [];
  let total = 0;
  for (const share of shares) ends.push((total += share));
  const at = toUnit(word) * total;
  const found = ends.slice(0, -1).findIndex((end) => at < end);
  return found < 0 ? shares.length - 1 : found;
}

// The point at `t` in 0..1 of the way from a to b: on the sphere for normal noise, else on the line.
function interpolate(a, b, t, source) {
  let [left, right] = [1 - t, t];
  if (source === "normal") {
    let [dot, first, second] = [0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      dot += a[i] * b[i];
      first += a[i] * a[i];
      second += b[i] * b[i];
    }
    const lengths = Math.sqrt(first) * Math.sqrt(second);
    const angle = Math.acos(Math.min(1, Math.max(-1, lengths ? dot / lengths : 1)));
    if (Math.sin(angle) > 1e-6) {
      left = Math.sin(left * angle) / Math.sin(angle);
      right = Math.sin(right * angle) / Math.sin(angle);
    }
  }
  return a.map((value, i) => left * value + right * b[i]);
}
