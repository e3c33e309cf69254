// A text that there is in English only, such as what the program says of a setting: it is read from left to right in every language.

export function English({ text }: { readonly text: string }) {
  return (
    <span class="english" dir="ltr" lang="en" title={text}>
      {text}
    </span>
  );
}
