// What the steps expect. Each throws an error that says what was expected when it is not so.

import { isDeepStrictEqual } from "node:util";

// equal prints what it compares: names and dates, not values of secrets.
export function equal(what, got, want) {
  holds(isDeepStrictEqual(got, want), `${what} to be ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

export function holds(so, expected) {
  if (!so) {
    throw new Error(`expected ${expected}`);
  }
}

// fails expects a call to throw an error of the SDK's class, and returns that error.
export async function fails(type, call) {
  const error = await thrown(call);
  holds(error instanceof type, `${type.name}, got ${error?.name ?? "no error"}: ${error?.message ?? ""}`);
  return error;
}

// failsWith expects a call to throw an error with a code for which the SDK has no class.
export async function failsWith(code, call) {
  const error = await thrown(call);
  holds(error?.name === code, `${code}, got ${error?.name ?? "no error"}: ${error?.message ?? ""}`);
}

async function thrown(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
}
