// Macros that hand an error on to the caller.

#ifndef SALLYPORT_COMMON_BASE_STATUS_H_
#define SALLYPORT_COMMON_BASE_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SALLYPORT_CONCAT_INNER(a, b) a##b
#define SALLYPORT_CONCAT(a, b) SALLYPORT_CONCAT_INNER(a, b)

// Returns from the function if `expression` (an absl::Status) is not OK.
#define RETURN_IF_ERROR(expression)                           \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

#define SALLYPORT_ASSIGN_OR_RETURN(result, declaration, expression, return_keyword) \
  auto result = (expression);                                                       \
  if (!result.ok()) return_keyword std::move(result).status();                      \
  declaration = *std::move(result)

// Evaluates `expression` (an absl::StatusOr), and either returns its error or assigns its value to
// `declaration`.
#define ASSIGN_OR_RETURN(declaration, expression)                                             \
  SALLYPORT_ASSIGN_OR_RETURN(SALLYPORT_CONCAT(status_or_, __LINE__), declaration, expression, \
                             return)

// The same two for coroutines. The awaited expression must be written by the caller:
// CO_RETURN_IF_ERROR(co_await f()).
#define CO_RETURN_IF_ERROR(expression)                        \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      co_return status_;                                      \
    }                                                         \
  } while (false)

#define CO_ASSIGN_OR_RETURN(declaration, expression)                                          \
  SALLYPORT_ASSIGN_OR_RETURN(SALLYPORT_CONCAT(status_or_, __LINE__), declaration, expression, \
                             co_return)

#endif  // SALLYPORT_COMMON_BASE_STATUS_H_
