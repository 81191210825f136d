/** Encoded as the URL standard serializes forms: letters, digits and `*-._` stay, a space is `+`. */
export function formEncode(value: string): string {
  return new URLSearchParams({ '': value }).toString().slice(1);
}
