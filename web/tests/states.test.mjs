// Every state of card and agent that people can meet, as they meet it: see
// states.inside.mjs.
import { test } from "node:test";
import { inside, refused } from "./computer.mjs";

test("every state of card and agent is met at a desk, in words of its own", { skip: refused() }, (t) => inside(t, "states.inside.mjs"));
