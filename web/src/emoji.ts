// The reactions that are offered, with the words that they are found by.
export const EMOJI: readonly (readonly [string, string])[] = [
  ["👍", "thumbs up yes good"], ["❤️", "heart love"], ["😂", "tears of joy laugh"], ["🎉", "party celebrate"],
  ["😮", "surprised wow"], ["😢", "crying sad"], ["🙏", "please thank you"], ["👀", "eyes looking"],
  ["👎", "thumbs down no bad"], ["✅", "check done"], ["❌", "cross wrong"], ["🔥", "fire hot"],
  ["💯", "hundred perfect"], ["🚀", "rocket ship launch"], ["👏", "clapping applause"], ["🙌", "raised hands hooray"],
  ["😀", "grinning happy"], ["😄", "smile happy"], ["😅", "sweat smile relief"], ["😊", "blush happy"],
  ["🙂", "slight smile"], ["😉", "wink"], ["😍", "heart eyes love"], ["😘", "kiss"],
  ["😎", "sunglasses cool"], ["🤔", "thinking hmm"], ["🤨", "raised eyebrow doubt"], ["😐", "neutral"],
  ["🙄", "rolling eyes"], ["😬", "grimace awkward"], ["😴", "sleeping tired"], ["🤯", "mind blown"],
  ["😱", "scream shock"], ["😭", "sobbing crying"], ["😡", "angry"], ["🤷", "shrug"],
  ["🤦", "facepalm"], ["💪", "strong muscle"], ["👋", "wave hello bye"], ["🤝", "handshake deal"],
  ["👌", "ok fine"], ["✌️", "victory peace"], ["🤞", "fingers crossed luck"], ["🫡", "salute"],
  ["🥳", "partying face celebrate"], ["🎂", "cake birthday"], ["☕", "coffee"], ["🍕", "pizza"],
  ["🍻", "beer cheers"], ["⭐", "star"], ["✨", "sparkles"], ["💡", "idea light bulb"],
  ["📌", "pin"], ["⏰", "alarm clock time"], ["🐛", "bug"], ["🔧", "wrench fix"],
  ["📈", "chart up growth"], ["🏆", "trophy win"], ["🎯", "target bullseye"], ["⚡", "lightning fast"],
  ["🌈", "rainbow"], ["☀️", "sun"], ["🌙", "moon night"], ["❓", "question"],
];
