export default function Page() {
  return <p>A host.</p>;
}
