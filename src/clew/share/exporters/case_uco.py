"""leads.case.jsonld: the leads as CASE/UCO 1.5 (https://caseontology.org, https://unifiedcyberontology.org) JSON-LD.

An Investigation under its Authorization; a Lead is a ProvenanceRecord over NetworkConnections (one per endpoint
interval); a Sighting is an InvestigativeAction whose result is such a connection; what is taken back of an earlier
Bundle is an Annotation on the Lead, by the id that it has there. What CASE/UCO has no word for (tier, rank, reasons,
clock quality, what speaks against it) stands under clew's own namespace, whose shapes are in `clew-shapes.ttl` beside
this file. Ids are UUIDs (version 5) of case and fact: the same facts give the same file.
"""

import ipaddress
import json
import uuid
from collections.abc import Iterator
from typing import Any

from clew.core import clock
from clew.core.sent import TakenBack, Times
from clew.share.api import STATEMENT, Exporter, IntervalPart, LeadPart, Package, SightingPart
from clew.share.examples import EXAMPLES

UCO = "https://ontology.unifiedcyberontology.org/uco/"
CONTEXT = {
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "clew": "urn:clew:vocabulary:1:",
    "kb": "urn:clew:kb:",
    "uco-action": f"{UCO}action/",
    "uco-core": f"{UCO}core/",
    "uco-identity": f"{UCO}identity/",
    "uco-observable": f"{UCO}observable/",
    "uco-tool": f"{UCO}tool/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
Node = dict[str, Any]


class CaseUco:
    """One `uco-core:Bundle` of objects, one a line."""

    name = "case_uco"
    filename = "leads.case.jsonld"
    examples = EXAMPLES

    def export(self, package: Package) -> Iterator[bytes]:
        """Yields the context, then every object in a fixed order."""
        writer = _Writer(package)
        yield f'{{\n"@context": {_text(CONTEXT)},\n"@graph": ['.encode()
        for number, node in enumerate(writer.nodes()):
            yield (",\n" if number else "\n").encode() + _text(node).encode()
        yield b"\n]\n}\n"


class _Writer:
    def __init__(self, package: Package) -> None:
        self.package = package
        self.space = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:clew:case:{package.case}")
        self.sender = self.id("organization", package.sender.code)
        self.tool = self.id("tool", package.tool)

    def id(self, kind: str, key: str) -> str:
        return f"kb:{kind}-{uuid.uuid5(self.space, f'{kind}/{key}')}"

    def nodes(self) -> Iterator[Node]:
        package = self.package
        sightings = {s.id: s for s in package.sightings}
        yield self.bundle()
        yield self.investigation()
        yield from self.background()
        yield from self.addresses()
        yield from self.taken_back()
        done: set[str] = set()
        for lead in package.leads:
            yield self.lead(lead)
            for interval in lead.intervals:
                connection = self.connection_id(lead, interval)
                yield self.connection(connection, interval)
                for key in interval.sightings:
                    if key in sightings and key not in done:
                        done.add(key)
                        yield self.sighting(sightings[key], connection)

    def bundle(self) -> Node:
        package = self.package
        members = [self.id("investigation", package.case), *(self.id("lead", lead.id) for lead in package.leads)]
        members += [self.taken_back_id(each) for each in package.taken_back]
        return {
            "@id": self.bundle_id(package.bundle),
            "@type": "uco-core:Bundle",
            "uco-core:createdBy": _ref(self.sender),
            "uco-core:objectCreatedTime": _time(package.created_ns),
            "uco-core:description": [STATEMENT, package.build] if package.build else STATEMENT,
            "uco-core:object": [_ref(m) for m in members],
            "clew:recipient": _ref(self.id("organization", package.recipient.code)),
        }

    def investigation(self) -> Node:
        node: Node = {
            "@id": self.id("investigation", self.package.case),
            "@type": "case-investigation:Investigation",
            "uco-core:name": self.package.operation,
            "uco-core:object": [_ref(self.id("lead", lead.id)) for lead in self.package.leads],
            "case-investigation:relevantAuthorization": [
                _ref(self.id("authorization", key)) for key, _ in self.package.mandates
            ],
        }
        return {key: value for key, value in node.items() if value}

    def background(self) -> Iterator[Node]:
        package = self.package
        for key, authority in package.mandates:
            yield {
                "@id": self.id("authorization", key),
                "@type": "case-investigation:Authorization",
                "case-investigation:authorizationIdentifier": key,
                "case-investigation:authorizationType": f"mandate of {authority}",
            }
        for party in {package.sender.code: package.sender, package.recipient.code: package.recipient}.values():
            yield {
                "@id": self.id("organization", party.code),
                "@type": "uco-identity:Organization",
                "uco-core:name": party.name,
            }
        yield {
            "@id": self.tool,
            "@type": "uco-tool:Tool",
            "uco-core:name": "clew",
            "uco-tool:version": package.tool,
        }

    def addresses(self) -> Iterator[Node]:
        for text in sorted({interval.address for lead in self.package.leads for interval in lead.intervals}):
            kind = "IPv6Address" if ipaddress.ip_address(text).version == 6 else "IPv4Address"
            facet = {
                "@id": self.id("address-facet", text),
                "@type": f"uco-observable:{kind}Facet",
                "uco-observable:addressValue": text,
            }
            yield {
                "@id": self.id("address", text),
                "@type": f"uco-observable:{kind}",
                "uco-core:hasFacet": [facet],
            }

    def taken_back(self) -> Iterator[Node]:
        """What an earlier Bundle of the same case gave. A Lead that is not in this one is named by its id alone."""
        here = {lead.id for lead in self.package.leads}
        for each in self.package.taken_back:
            if each.lead not in here:
                yield {"@id": self.id("lead", each.lead), "@type": "uco-core:UcoObject"}
            yield {
                "@id": self.taken_back_id(each),
                "@type": ["uco-core:Annotation", "clew:TakenBack"],
                "uco-core:object": [_ref(self.id("lead", each.lead))],
                "uco-core:statement": [f"taken back: {each.why}"],
                "clew:leftIn": [_ref(self.bundle_id(copy.bundle)) for copy in each.copies],
                "clew:doesNotStand": [_words(times) for times in each.intervals],
            }

    def taken_back_id(self, each: TakenBack) -> str:
        return self.id("taken-back", f"{self.package.bundle}/{each.lead}")

    def bundle_id(self, bundle: str) -> str:
        return self.id("bundle", f"{self.package.recipient.code}/{bundle}")

    def lead(self, lead: LeadPart) -> Node:
        node: Node = {
            "@id": self.id("lead", lead.id),
            "@type": ["case-investigation:ProvenanceRecord", "clew:Lead"],
            "uco-core:name": lead.label,
            "uco-core:description": [STATEMENT],
            "case-investigation:exhibitNumber": lead.id,
            "uco-core:object": [_ref(self.connection_id(lead, i)) for i in lead.intervals],
            "clew:rank": lead.rank,
            "clew:score": _decimal(lead.score),
            "clew:tier": lead.tier,
            "clew:torrentOnly": lead.torrent_only,
            "clew:country": lead.country,
            "clew:networkKind": lead.network_kind,
            "clew:lookup": list(lead.lookups),
            "clew:reason": list(lead.reasons),
            "clew:caveat": list(lead.caveats),
            "clew:against": list(lead.against),
            "clew:expires": _time(lead.expires_ns),
        }
        if lead.child_at_risk:
            node["clew:childAtRisk"] = list(lead.child_at_risk)
        return {key: value for key, value in node.items() if value != []}

    def connection_id(self, lead: LeadPart, interval: IntervalPart) -> str:
        key = (lead.id, interval.watch, interval.address, interval.port, interval.transport, interval.from_ns)
        return self.id("network-connection", "/".join(map(str, key)))

    def connection(self, key: str, interval: IntervalPart) -> Node:
        facet = {
            "@id": f"kb:network-connection-facet-{uuid.uuid5(self.space, f'facet/{key}')}",
            "@type": "uco-observable:NetworkConnectionFacet",
            "uco-observable:dst": [_ref(self.id("address", interval.address))],
            "uco-observable:destinationPort": interval.port,
            "uco-observable:startTime": _time(interval.from_ns),
            "uco-observable:endTime": _time(interval.to_ns),
        }
        return {
            "@id": key,
            "@type": ["uco-observable:NetworkConnection", "clew:EndpointInterval"],
            "uco-core:hasFacet": [facet],
            "clew:transport": interval.transport,
            "clew:tier": interval.tier,
            "clew:torrentOnly": interval.torrent_only,
            "clew:watch": interval.watch,
        }

    def sighting(self, sighting: SightingPart, connection: str) -> Node:
        measured = sighting.clock_error_ns is not None and sighting.clock_offset_ns is not None
        node: Node = {
            "@id": self.id("sighting", sighting.id),
            "@type": ["case-investigation:InvestigativeAction", "clew:Sighting"],
            "uco-action:performer": _ref(self.sender),
            "uco-action:instrument": [_ref(self.tool)],
            "uco-action:result": [_ref(connection)],
            "uco-action:startTime": _time(sighting.started_ns),
            "uco-action:endTime": _time(sighting.ended_ns),
            "clew:watch": sighting.watch,
            "clew:tier": sighting.tier,
            "clew:claim": sighting.claim,
            "clew:clockQuality": "measured" if measured else "unmeasured",
            "clew:transcriptSha256": sighting.transcript_sha256,
        }
        if measured:
            node["clew:clockOffsetNs"] = sighting.clock_offset_ns
            node["clew:clockErrorNs"] = sighting.clock_error_ns
        return node


def _ref(key: str) -> Node:
    return {"@id": key}


def _words(times: Times) -> str:
    span = f"{clock.iso(times.from_ns)} to {clock.iso(times.to_ns)}"
    return f"{times.address} port {times.port} ({times.transport}), {span}"


def _time(ns: int) -> Node:
    return {"@type": "xsd:dateTime", "@value": clock.iso(ns)}


def _decimal(value: float) -> Node:
    return {"@type": "xsd:decimal", "@value": f"{value:.6f}"}


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


PLUGIN: Exporter = CaseUco()
