"""The deprecated APIs in an API server's /metrics text."""

from workspaces.providers.deprecated_apis import DeprecatedApi, read

from .recorded_api import recorded


def test_an_api_without_a_planned_removal_keeps_it_empty():
    assert list(read(recorded("14-metrics-deprecated-apis", "metrics").body)) == [
        DeprecatedApi("", "v1", "componentstatuses", ""),
        DeprecatedApi("", "v1", "endpoints", ""),
    ]


def test_removals_are_told_with_their_release():
    found = list(read(recorded("14-metrics-deprecated-apis", "metrics-all").body))
    assert DeprecatedApi("networking.k8s.io", "v1beta1", "ipaddresses", "1.37") in found
    assert DeprecatedApi("coordination.k8s.io", "v1beta1", "leasecandidates", "1.39") in found


def test_other_metrics_comments_and_look_alikes_are_passed_over():
    text = """# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis_total{group="x",version="v1",resource="y",removed_release="1.2"} 1
apiserver_request_total{group="policy",version="v1beta1",resource="podsecuritypolicies"} 4
go_goroutines 1200
apiserver_requested_deprecated_apis{version="v1beta1",subresource="",resource="podsecuritypolicies",\
removed_release="1.25",group="policy"} 1
"""
    assert list(read(text)) == [DeprecatedApi("policy", "v1beta1", "podsecuritypolicies", "1.25")]


def test_escapes_in_labels_are_read_as_what_they_stand_for():
    line = r'apiserver_requested_deprecated_apis{group="a\"},b\\c\nd",version="v1",resource="e}",removed_release=""} 1'
    assert list(read(line)) == [DeprecatedApi('a"},b\\c\nd', "v1", "e}", "")]


def test_nothing_is_nothing():
    assert list(read("")) == []
