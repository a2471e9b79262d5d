// Starts the components of nhsuk-frontend. Loaded only where its files are.
import { initAll } from "./vendor/nhsuk-frontend.min.js";

initAll();
