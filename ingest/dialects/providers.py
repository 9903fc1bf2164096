"""One name per provider, and the names that are not providers."""

from __future__ import annotations

# Spelling -> the name of OpenTelemetry's registry.
PROVIDERS: dict[str, str] = {
    "az.ai.inference": "azure.ai.inference",
    "azure.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "aws.bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "gcp.vertex_ai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "google.vertex.chat": "gcp.vertex_ai",
    "gcp.gemini": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "gcp.gen_ai": "gcp.gen_ai",
    "ibm.watsonx.ai": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
    "x_ai": "x_ai",
    "x-ai": "x_ai",
    "mistralai": "mistral_ai",
    "mistral": "mistral_ai",
    "mistral_ai": "mistral_ai",
}

# Frameworks that write their own name where the provider belongs.
FRAMEWORKS = frozenset(
    {
        "strands-agents",
        "autogen",
        "langgraph",
        "langchain",
        "microsoft.agent_framework",
        "llama_index",
        "llamaindex",
        "crewai",
        "haystack",
        "dspy",
        "smolagents",
        "semantic_kernel",
        "pydantic-ai",
        "litellm",
        "gcp.vertex.agent",
    }
)
