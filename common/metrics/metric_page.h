// What Prometheus scrapes, in its text format, version 0.0.4. Names and labels: docs/metrics.md.

#ifndef SALLYPORT_COMMON_METRICS_METRIC_PAGE_H_
#define SALLYPORT_COMMON_METRICS_METRIC_PAGE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport {

// Samples of one name follow each other.
class MetricPage {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  void Gauge(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  // Only grows, until what counts it starts anew.
  void Counter(std::string_view name, std::string_view help, double value,
               const Labels& labels = {});

  struct Bucket {
    double at_most = 0;
    uint64_t count = 0;  // Of those that are in no smaller bucket.
  };
  // `count`: of all, those above the last bucket included.
  void Histogram(std::string_view name, std::string_view help, const std::vector<Bucket>& buckets,
                 uint64_t count, double sum, Labels labels = {});

  const std::string& text() const { return text_; }

 private:
  void Begin(std::string_view name, std::string_view help, std::string_view type);
  void Sample(std::string_view name, std::string_view suffix, const Labels& labels, double value);

  std::string text_;
  std::string family_;  // The name of the last sample.
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_METRICS_METRIC_PAGE_H_
