// Sends three spans with a stock exporter, then prints their ids and what went wrong.
// node send.mjs URL KEY json|protobuf none|gzip

import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { DiagLogLevel, diag } from "@opentelemetry/api";

const [url, key, encoding, compression] = process.argv.slice(2);
const problems = [];
const note = (...words) => problems.push(words.map(String).join(" "));
const silent = () => {};
diag.setLogger(
  { error: note, warn: note, info: silent, debug: silent, verbose: silent },
  DiagLogLevel.WARN,
);

const Exporter = encoding === "json" ? JsonExporter : ProtobufExporter;
const exporter = new Exporter({
  url,
  compression,
  headers: { authorization: `Bearer ${key}` },
});
const provider = new TracerProvider({
  spanProcessors: [new BatchSpanProcessor({ exporter })],
});
const tracer = provider.getTracer("tests");

const ids = [];
for (const tool of ["search", "fetch", "mail"]) {
  const span = tracer.startSpan(`execute_tool ${tool}`, { kind: 2 });
  span.setAttributes({
    "gen_ai.tool.name": tool,
    "gen_ai.usage.input_tokens": 1234,
    ratio: 0.5,
    list: ["a", "b"],
    yes: true,
  });
  span.addEvent("retry", { backoff: 1 });
  span.recordException(new Error("naïve 😀"));
  span.setStatus({ code: 2, message: "it failed" });
  span.end();
  ids.push(span.spanContext().spanId);
}
await provider.forceFlush();
await provider.shutdown();
console.log(JSON.stringify({ ids, problems }));
