// Coroutines of a worker: everything of a connection runs on one io_context, on one thread.

#ifndef SALLYPORT_AGENT_PROXY_TASK_H_
#define SALLYPORT_AGENT_PROXY_TASK_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sallyport::proxy {

using Executor = boost::asio::io_context::executor_type;

template <typename T>
using Task = boost::asio::awaitable<T, Executor>;

inline constexpr boost::asio::use_awaitable_t<Executor> kUseTask;

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TASK_H_
