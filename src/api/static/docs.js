// Shows openapi.json as a page and lets a reader try each operation. Everything is written as text, never as HTML.

const METHODS = ["get", "post", "delete"];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function resolve(api, schema) {
  if (!schema || !schema.$ref) return schema ?? {};
  return schema.$ref.slice(2).split("/").reduce((at, step) => at[step], api);
}

function wordsOf(api, given) {
  const schema = resolve(api, given);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.map((option) => wordsOf(api, option)).join(" or ");
  if (schema.type === "array") return `list of ${wordsOf(api, schema.items)}`;
  if (schema.title && schema.properties) return schema.title;
  const limits = [
    schema.format,
    schema.minimum !== undefined ? `from ${schema.minimum}` : "",
    schema.maximum !== undefined ? `to ${schema.maximum}` : "",
  ].filter(Boolean);
  return [schema.type ?? "anything", ...limits].join(" ");
}

function fieldsTable(api, given) {
  const schema = resolve(api, given);
  const rows = [];
  const walk = (at, path, depth) => {
    const here = resolve(api, at);
    for (const option of here.oneOf ?? here.anyOf ?? []) walk(option, path, depth);
    for (const [name, inner] of Object.entries(here.properties ?? {})) {
      const full = path ? `${path}.${name}` : name;
      const needed = (here.required ?? []).includes(name) ? "required" : "optional";
      rows.push(
        element("tr", {}, element("td", {}, element("code", {}, full)), element("td", {}, wordsOf(api, inner)),
          element("td", {}, needed), element("td", {}, resolve(api, inner).description ?? "")),
      );
      if (depth < 4) walk(inner, full, depth + 1);
    }
  };
  walk(schema, "", 0);
  return rows.length ? element("table", {}, element("tbody", {}, ...rows)) : element("p", {}, wordsOf(api, schema));
}

function parametersTable(api, parameters) {
  const rows = parameters.map((parameter) =>
    element("tr", {}, element("td", {}, element("code", {}, parameter.name)), element("td", {}, parameter.in),
      element("td", {}, wordsOf(api, parameter.schema)), element("td", {}, parameter.description ?? "")));
  return element("table", {}, element("tbody", {}, ...rows));
}

function responsesTable(api, responses) {
  const rows = Object.entries(responses).map(([status, response]) => {
    const content = Object.entries(response.content ?? {});
    const words = content.map(([type, media]) => `${type}: ${wordsOf(api, media.schema)}`).join("; ");
    return element("tr", {}, element("td", {}, element("code", {}, status)),
      element("td", {}, response.description), element("td", {}, words));
  });
  return element("table", {}, element("tbody", {}, ...rows));
}

function headersOf(parameters, values) {
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  for (const parameter of parameters) {
    if (parameter.in === "header" && values[parameter.name]) headers[parameter.name] = values[parameter.name];
  }
  return headers;
}

async function show(response, into) {
  const type = response.headers.get("Content-Type") ?? "";
  const head = element("p", {}, `${response.status} ${response.statusText} · ${response.headers.get("X-Request-Id")}`);
  if (type.startsWith("image/")) {
    const picture = element("img", { class: "answer", alt: "the answer" });
    picture.src = URL.createObjectURL(await response.blob());
    into.replaceChildren(head, picture);
    return;
  }
  const text = await response.text();
  let shown = text;
  if (type.includes("json")) shown = JSON.stringify(JSON.parse(text), null, 2);
  into.replaceChildren(head, element("pre", {}, shown.slice(0, 100000)));
}

function tryForm(method, path, operation) {
  const parameters = operation.parameters ?? [];
  const inputs = {};
  const form = element("form");
  const add = (name, input) => {
    inputs[name] = input;
    form.append(element("label", {}, name, input));
  };
  for (const parameter of parameters) add(parameter.name, element("input", { type: "text" }));
  const content = operation.requestBody?.content ?? {};
  if (content["multipart/form-data"]) add("(file)", element("input", { type: "file", accept: ".png,.jpg,.jpeg,.pdf" }));
  if (content["application/json"]) add("(JSON, if no file is chosen)", element("textarea"));
  const output = element("div", { "aria-live": "polite" });
  form.append(element("button", { type: "submit" }, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value]));
    const query = new URLSearchParams();
    let target = path.slice(1); // relative, because the service may be found below a path of its own
    for (const parameter of parameters) {
      const value = values[parameter.name];
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
      if (parameter.in === "query" && value) query.set(parameter.name, value);
    }
    const request = { method: method.toUpperCase(), headers: headersOf(parameters, values) };
    const file = inputs["(file)"]?.files[0];
    const json = values["(JSON, if no file is chosen)"];
    if (file) {
      request.body = new FormData();
      request.body.append("file", file);
    } else if (json) {
      request.body = json;
      request.headers["Content-Type"] = "application/json";
    }
    output.replaceChildren("Sending…");
    try {
      await show(await fetch(query.size ? `${target}?${query}` : target, request), output);
    } catch (error) {
      output.replaceChildren(String(error));
    }
  });
  return [form, output];
}

function section(api, path, method, operation) {
  const parts = [element("p", {}, operation.description ?? "")];
  if (operation.parameters?.length) {
    parts.push(element("h3", {}, "Parameters"), parametersTable(api, operation.parameters));
  }
  for (const [type, media] of Object.entries(operation.requestBody?.content ?? {})) {
    parts.push(element("h3", {}, `Body: ${type}`), fieldsTable(api, media.schema));
  }
  parts.push(element("h3", {}, "Answers"), responsesTable(api, operation.responses));
  parts.push(element("h3", {}, "Try it"), ...tryForm(method, path, operation));
  const title = element("summary", {}, element("span", { class: `method ${method}` }, method.toUpperCase()),
    element("code", {}, path));
  return element("details", {}, title, ...parts);
}

async function main() {
  const into = document.getElementById("operations");
  const response = await fetch("openapi.json");
  if (!response.ok) {
    into.replaceChildren(`openapi.json could not be read: ${response.status}`);
    return;
  }
  const api = await response.json();
  const sections = [];
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      if (operations[method]) sections.push(section(api, path, method, operations[method]));
    }
  }
  into.replaceChildren(...sections);
}

main();
