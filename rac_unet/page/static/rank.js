// Values by their rank: the median, and any other.

/** Return the value that would be at an index if a typed array was sorted. The array is reordered. */
export function ranked(values, index) {
  let low = 0;
  let high = values.length - 1;
  // Quickselect: only the part with the index is divided further.
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i > j) break;
      const value = values[i];
      values[i++] = values[j];
      values[j--] = value;
    }
    if (index <= j) high = j;
    else if (index >= i) low = i;
    else break;
  }
  return values[index];
}

/** Return the median of a typed array, which is reordered. */
export function median(values) {
  const middle = values.length >> 1;
  const upper = ranked(values, middle);
  if (values.length % 2) return upper;
  let lower = values[0];
  for (let i = 1; i < middle; i++) if (values[i] > lower) lower = values[i];
  return (lower + upper) / 2;
}
