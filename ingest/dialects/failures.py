"""Why something failed: exception types, codes and texts -> our failure classes.

Types are compared without their module and their case. The type decides when it is
specific; then the status code; then what the message says.
"""

from __future__ import annotations

import re

from switchgear.policy.vocabulary import FailureClass, RefusalReason

_TYPES: dict[FailureClass, str] = {
    FailureClass.CANCELLED: """
        CancelledError AbortError KeyboardInterrupt GeneratorExit OperationCancelled
        OperationCanceledException TaskCanceledException CANCELLED TaskRevokedError
        notifications/cancelled""",
    FailureClass.TIMEOUT: """
        TimeoutError Timeout ReadTimeout ConnectTimeout WriteTimeout PoolTimeout
        ConnectTimeoutError ReadTimeoutError APITimeoutError SoftTimeLimitExceeded
        TimeLimitExceeded DeadlineExceeded DEADLINE_EXCEEDED TimeoutException
        ServerTimeoutError ModelTimeoutError ToolTimeoutError timeout""",
    FailureClass.UPSTREAM_QUOTA: """
        BudgetExceededError UsageLimitExceeded QuotaExceeded QuotaExceededError
        InsufficientQuotaError insufficient_quota billing_error""",
    FailureClass.RATE_LIMITED: """
        RateLimitError rate_limit_error RateLimitExceeded ThrottlingException
        TooManyRequests TooManyRequestsError RESOURCE_EXHAUSTED ResourceExhausted
        ModelRateLimitError Throttled""",
    FailureClass.AUTH: """
        PermissionError PermissionDenied PermissionDeniedError PERMISSION_DENIED
        AuthenticationError UNAUTHENTICATED Unauthenticated AccessDenied
        AccessDeniedException Forbidden Unauthorized UnauthorizedError
        authentication_error permission_error NotAuthorized""",
    FailureClass.CONTENT_FILTER: """
        ContentPolicyViolationError ContentFilterError ContentFilterFinishReasonError
        GuardrailTripwireTriggered InputGuardrailTripwireTriggered
        OutputGuardrailTripwireTriggered content_filter""",
    FailureClass.CONTEXT_WINDOW: """
        ContextWindowExceededError ContextLengthExceeded context_length_exceeded
        ContextWindowOverflowException LengthFinishReasonError""",
    FailureClass.INVALID_REQUEST: """
        ValidationError RequestValidationError BadRequestError BadRequest
        invalid_request_error INVALID_ARGUMENT InvalidArgument InvalidRequestError
        AI_InvalidToolInputError AI_NoSuchToolError AI_InvalidToolArgumentsError
        JSONDecodeError UnprocessableEntityError ToolNotFoundError UnknownToolError
        NoSuchToolError InvalidToolArguments NotFoundError ModelNotFoundError
        not_found_error AI_InvalidArgumentError AI_TypeValidationError""",
    FailureClass.TRANSPORT: """
        ConnectionError ConnectionResetError ConnectionRefusedError
        ConnectionAbortedError BrokenPipeError RemoteProtocolError LocalProtocolError
        APIConnectionError ConnectError ReadError WriteError NetworkError
        ProtocolError ChunkedEncodingError ClientConnectorError ClientConnectionError
        ServerDisconnectedError IncompleteRead SSLError gaierror NewConnectionError
        MaxRetryError UNAVAILABLE IncompleteReadError EOFError""",
    FailureClass.SERVER_ERROR: """
        InternalServerError ServiceUnavailable ServiceUnavailableError
        overloaded_error OverloadedError ServerError BadGateway BadGatewayError
        GatewayTimeout INTERNAL ABORTED ModelServerError ModelUnavailableError
        InternalFailure""",
    FailureClass.TOOL_ERROR: "tool_error ToolException ToolExecutionError",
}
TYPES: dict[str, FailureClass] = {
    name.lower(): failure for failure, names in _TYPES.items() for name in names.split()
}

# Wrappers and placeholders: the class is elsewhere, in a code or in the message.
_GENERIC = """
    _OTHER api_error APIError APIStatusError AI_APICallError AI_RetryError
    RetryError ToolRetryError ModelRetry ChatClientException
    ServiceResponseException OpenAIAPIError PipelineRuntimeError HTTPStatusError
    HTTPError Exception Error RuntimeError ExceptionGroup ModelHTTPError
    ModelAPIError FallbackExceptionGroup UnexpectedModelBehavior ClientError
    ServiceException ClientResponseError McpError MCPError ToolError Retry
    Failure MaxRetriesExceededError APIResponseValidationError RpcError OSError
    RequestException"""
GENERIC_TYPES = frozenset(_GENERIC.lower().split())

STATUS_CODES: dict[int, FailureClass] = {
    400: FailureClass.INVALID_REQUEST,
    401: FailureClass.AUTH,
    402: FailureClass.UPSTREAM_QUOTA,
    403: FailureClass.AUTH,
    404: FailureClass.INVALID_REQUEST,
    407: FailureClass.AUTH,
    408: FailureClass.TIMEOUT,
    409: FailureClass.SERVER_ERROR,
    413: FailureClass.INVALID_REQUEST,
    422: FailureClass.INVALID_REQUEST,
    425: FailureClass.SERVER_ERROR,
    429: FailureClass.RATE_LIMITED,
    499: FailureClass.CANCELLED,
    501: FailureClass.TOOL_ERROR,
    504: FailureClass.TIMEOUT,
}

# JSON-RPC and gRPC codes, as text because senders write both names and numbers.
RPC_CODES: dict[str, FailureClass] = {
    "-32700": FailureClass.INVALID_REQUEST,
    "-32600": FailureClass.INVALID_REQUEST,
    "-32601": FailureClass.INVALID_REQUEST,
    "-32602": FailureClass.INVALID_REQUEST,
    "-32603": FailureClass.SERVER_ERROR,
    "-32001": FailureClass.TIMEOUT,
    "1": FailureClass.CANCELLED,
    "3": FailureClass.INVALID_REQUEST,
    "4": FailureClass.TIMEOUT,
    "7": FailureClass.AUTH,
    "8": FailureClass.RATE_LIMITED,
    "10": FailureClass.SERVER_ERROR,
    "13": FailureClass.SERVER_ERROR,
    "14": FailureClass.TRANSPORT,
    "16": FailureClass.AUTH,
}
RPC_SUCCESS = frozenset({"0", "OK", "ok"})

# Where a message carries the code of the answer. Messages are compared in lower case.
CODE_HINTS = ("error", "status")
CODE_IN_TEXT = re.compile(
    r"(?:error code|status_code|status code|status)[:=]? ?(\d{3})\b"
    r"|(?:client|server) error '(\d{3}) "
    r"|too many (\d{3}) error"
)
# What a message says when neither type nor code told: a hint that is cheap to look
# for, and where that is not enough, what must match.
TEXTS: tuple[tuple[str, re.Pattern[str] | None, FailureClass], ...] = (
    ("timed out", None, FailureClass.TIMEOUT),
    ("deadline exceeded", None, FailureClass.TIMEOUT),
    (
        "exceeded ",
        re.compile(r"exceeded [\d.]+ ?(?:s|ms|sec\w*)\b"),
        FailureClass.TIMEOUT,
    ),
    ("connection reset", None, FailureClass.TRANSPORT),
    ("connection refused", None, FailureClass.TRANSPORT),
    ("connection aborted", None, FailureClass.TRANSPORT),
    ("disconnected", None, FailureClass.TRANSPORT),
    ("rate limit", None, FailureClass.RATE_LIMITED),
    ("too many requests", None, FailureClass.RATE_LIMITED),
    ("unexpected keyword argument", None, FailureClass.INVALID_REQUEST),
    ("missing ", re.compile(r"missing \d+ required"), FailureClass.INVALID_REQUEST),
    ("validation error", None, FailureClass.INVALID_REQUEST),
    ("unknown tool", None, FailureClass.INVALID_REQUEST),
    ("no such tool", None, FailureClass.INVALID_REQUEST),
)
# A tool's answer that only says it gave up: status and type know nothing of it.
TIMEOUT_RESULT = re.compile(r"Tool '[^']{1,200}' timed out after [\d.]+ s")

# A class that the message makes more precise.
REFINEMENTS: tuple[tuple[FailureClass, re.Pattern[str], FailureClass], ...] = (
    (
        FailureClass.RATE_LIMITED,
        re.compile(r"insufficient_quota|exceeded your current quota|billing"),
        FailureClass.UPSTREAM_QUOTA,
    ),
    (
        FailureClass.INVALID_REQUEST,
        re.compile(
            r"context_length_exceeded|maximum context length|prompt is too long"
        ),
        FailureClass.CONTEXT_WINDOW,
    ),
    (
        FailureClass.INVALID_REQUEST,
        re.compile(r"content_filter|content_policy|content management policy"),
        FailureClass.CONTENT_FILTER,
    ),
)

# Libraries that refuse before anything runs.
REFUSALS: dict[str, RefusalReason] = {
    "circuitbreakererror": RefusalReason.BREAKER,
    "circuitbreakeropen": RefusalReason.BREAKER,
    "circuitopenerror": RefusalReason.BREAKER,
    "callnotpermittedexception": RefusalReason.BREAKER,
    "brokencircuitexception": RefusalReason.BREAKER,
    "bulkheadfullexception": RefusalReason.CONCURRENCY,
    "requestnotpermitted": RefusalReason.RATE_LIMIT,
}

# Values of a status attribute that mean failure.
FAILED_WORDS = frozenset({"error", "failure", "failed", "retry", "revoked"})
REVOKED = "revoked"
