// Exit statuses of `sallyport run` that are not the command's own.

#ifndef SALLYPORT_CLI_RUN_EXIT_STATUS_H_
#define SALLYPORT_CLI_RUN_EXIT_STATUS_H_

namespace sallyport::cli {

inline constexpr int kSallyportFailed = 125;
inline constexpr int kCannotExecute = 126;
inline constexpr int kNotFound = 127;
inline constexpr int kSignalled = 128;  // Plus the signal's number.

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_EXIT_STATUS_H_
