// Reads {"documents": [...], "expressions": [...]} from standard input, writes a list of complaints.
//
// Documents are checked by what Kubernetes (and the Prometheus operator) publish of their kinds, as the npm
// packages kubernetes-models and @kubernetes-models/prometheus-operator have it: required fields, types,
// formats. Those checks let fields pass that do not exist. They read every field that does, so one that was
// never read is a complaint: the document is handed over behind a Proxy that keeps count.
// Expressions are checked by Prometheus' own grammar.
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const modules = process.argv[2]; // node_modules
const require = createRequire(pathToFileURL(modules + "/"));
const PACKAGES = ["kubernetes-models", "@kubernetes-models/prometheus-operator"];

// The check of a kind: what the package's class for it would call, which reads the document to copy it first.
function checkOf(document) {
  for (const name of PACKAGES) {
    const path = `${modules}/${name}/${document.apiVersion}/${document.kind}.js`;
    if (!existsSync(path)) continue;
    const [, schema] = readFileSync(path, "utf8").match(/require\("([^"]*\/_schemas\/[^"]*)"\)/);
    return require(join(dirname(path), schema)).validate;
  }
  return undefined;
}

// `value` behind a Proxy; `unread` gets every path in it until it is read.
function watched(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  const inside = new Map();
  for (const key of Object.keys(value)) {
    const place = `${path}/${key}`;
    unread.add(place);
    inside.set(key, watched(value[key], place, unread));
  }
  return new Proxy(value, {
    get(target, key) {
      unread.delete(`${path}/${String(key)}`);
      return inside.has(key) ? inside.get(key) : target[key];
    },
  });
}

function complaintsOf(document) {
  const name = `${document.kind} ${document.metadata?.name}`;
  const check = checkOf(document);
  if (check === undefined) return [`${name}: no schema of ${document.apiVersion}`];
  const unread = new Set();
  check(watched(document, "", unread));
  const complaints = (check.errors ?? []).map((one) => {
    return `${name}: ${one.instancePath} ${one.keyword} ${JSON.stringify(one.params)}`;
  });
  // What lies in a field that does not exist was not read either: only the outermost is named.
  const outermost = [...unread].filter((path) => ![...unread].some((other) => path.startsWith(other + "/")));
  complaints.push(...outermost.map((path) => `${name}: ${path} is no field`));
  return complaints;
}

async function expressionCheck() {
  const { parser } = await import(pathToFileURL(`${modules}/@prometheus-io/lezer-promql/dist/index.es.js`));
  return (text) => {
    const complaints = [];
    parser.parse(text).iterate({
      enter(node) {
        if (node.type.isError) complaints.push(`${text}: not PromQL at ${node.from}`);
      },
    });
    return complaints;
  };
}

const input = JSON.parse(readFileSync(0, "utf8"));
const check = await expressionCheck();
const ofDocuments = (input.documents ?? []).flatMap(complaintsOf);
const ofExpressions = (input.expressions ?? []).flatMap(check);
process.stdout.write(JSON.stringify([...ofDocuments, ...ofExpressions]) + "\n");
